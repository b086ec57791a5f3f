"""What the handlers of `/mcp` have in common: who calls, tool results, errors."""

from __future__ import annotations

from typing import Any

import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from starlette.requests import Request

from midspan.core.operation import Operation
from midspan.core.wire import encode
from midspan.server.auth import access_of
from midspan.server.mcp.arguments import schema_of
from midspan.server.mcp.tools import JsonObject, Tool, Tools
from midspan.server.problem import Problem
from midspan.server.tokens import Access

Context = ServerRequestContext[Any, Request]


def access_of_call(context: Context) -> Access:
    """What the caller may see and do."""
    assert context.request is not None  # every message has come with an HTTP request
    return access_of(context.request.scope)


def described(tool: Tool) -> types.Tool:
    """A tool as `tools/list` shows it."""
    hints = types.ToolAnnotations(
        read_only_hint=not tool.writes, destructive_hint=tool.destroys, idempotent_hint=tool.destroys or not tool.writes
    )
    schema = schema_of(tool.takes)
    return types.Tool(name=tool.name, description=tool.description, input_schema=schema, annotations=hints)


def called(envelope: JsonObject, failed: bool) -> types.CallToolResult:
    """An envelope as a tool's result: as text, which seed S1's clients parse, and structured."""
    text = encode(envelope)
    return types.CallToolResult(
        content=[types.TextContent(type="text", text=text.decode())], structured_content=envelope, is_error=failed
    )


def found_or_error(tools: Tools, operation_id: str, access: Access) -> Operation:
    """The operation. Raises MCPError (-32602) for one that is unknown, or somebody else's."""
    try:
        return tools.find(operation_id, access)
    except Problem as problem:
        raise MCPError(types.INVALID_PARAMS, problem.detail) from None
