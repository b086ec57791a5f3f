"""The seeds' HTTP vocabularies for the same operations: routes, and pure functions Operation → the seed's JSON."""

from __future__ import annotations

from starlette.routing import BaseRoute

from midspan.core.registry import Registry
from midspan.server.dialects.chat_api import chat_routes
from midspan.server.dialects.long_tasks import long_task_routes
from midspan.server.dialects.monitor import monitor_routes
from midspan.server.dialects.steps import steps_routes
from midspan.server.hub import Hub
from midspan.tracking.tasks import Tasks


def dialect_routes(registry: Registry, hub: Hub, tasks: Tasks) -> list[BaseRoute]:
    """Every dialect at its seed's own paths; they do not collide with each other (ruling C19)."""
    return [
        *steps_routes(registry),
        *long_task_routes(registry, hub),
        *chat_routes(registry, hub, tasks),
        *monitor_routes(registry, hub),
    ]
