"""Out to people and programs: the HTTP surfaces, which read snapshots and have no model of their own."""
