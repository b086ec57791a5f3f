"""`/mcp`: the same operations and tasks for agents, over the Model Context Protocol."""
