"""The ASGI application: routes, and what every request passes on its way to them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import BaseRoute
from starlette.types import Lifespan

from midspan.server.answers import row
from midspan.server.auth import Gate, TokenCheck
from midspan.server.dialects import dialect_routes
from midspan.server.endpoints import native_routes
from midspan.server.guard import Guard
from midspan.server.hosts import HostCheck
from midspan.server.hub import Hub
from midspan.server.limits import BodyLimit, UrlLimit
from midspan.server.links import linked
from midspan.server.mcp.mount import mcp_routes
from midspan.server.page_routes import page_routes
from midspan.server.probes import Metrics, always, probe_routes
from midspan.server.problem import Problem, on_http_error, on_problem, unknown_path
from midspan.server.rows import Rows
from midspan.server.session import session_routes
from midspan.server.streams import stream_routes
from midspan.server.tickets import Tickets, ticket_routes
from midspan.server.tokens import Tokens
from midspan.server.websocket import websocket_routes
from midspan.tracking.tasks import Tasks
from midspan.tracking.tracker import ProgressRegistry


def create_app(
    registry: ProgressRegistry,
    *,
    metrics: Metrics,
    allowed_hosts: Iterable[str] = (),
    token: str | None = None,
    ready: Callable[[], bool] = always,
    tasks: Tasks | None = None,
    trace_url: str | None = None,
) -> Starlette:
    """The whole HTTP API over `registry`, to be served, or mounted into another app under any prefix.

    `metrics` takes the Accept header and returns (body, content type). `allowed_hosts` are answered besides the
    loopback names. With `token` (one or more, as `Tokens.parse` reads them) all but the probes and the page need one.
    `tasks` are the functions that may be started: none by default. `trace_url` is the template of the rows' field.
    """
    hub, tickets, rows = Hub(registry), Tickets(), Rows(linked(row, trace_url))
    tasks = Tasks(registry) if tasks is None else tasks
    gate = Gate(Tokens.parse(token or ""), tickets)
    routes = [
        *stream_routes(registry, hub, rows),
        *websocket_routes(registry, hub, rows, gate),
        *native_routes(registry, hub, rows, tasks),
        *dialect_routes(registry, hub, tasks),
        *mcp_routes(registry, hub, tasks, rows.whole),
        *ticket_routes(tickets),
        *session_routes(),
        *probe_routes(metrics, ready),
        *page_routes(),
    ]
    hosts = Middleware(HostCheck, allowed_hosts)
    layers = [Middleware(UrlLimit), hosts, Middleware(TokenCheck, gate), Middleware(BodyLimit)]
    app = _assemble(routes, layers, "GET /v1/openapi.json lists the paths of the API", _lifespan(hub))
    app.state.hub = hub
    return app


def create_metrics_app(metrics: Metrics, *, ready: Callable[[], bool] = always) -> Starlette:
    """Only `/metrics`, `/healthz` and `/readyz`, for whoever asks: without Host check and token."""
    return _assemble(probe_routes(metrics, ready), [Middleware(UrlLimit)], "there are /metrics, /healthz and /readyz")


def close_streams(app: object) -> None:
    """Let the streams of an app made by `create_app` end, before its server waits for them. From any thread."""
    hub = getattr(getattr(app, "state", None), "hub", None)
    if isinstance(hub, Hub):
        hub.close()


def _lifespan(hub: Hub) -> Lifespan[Starlette]:
    """For servers that tell of their end before they wait; in others, and mounted, the hub sees to itself."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        hub.reopen()
        yield
        hub.close()

    return lifespan


def _assemble(
    routes: Sequence[BaseRoute], layers: list[Middleware], hint: str, lifespan: Lifespan[Starlette] | None = None
) -> Starlette:
    app = Starlette(
        routes=routes,
        middleware=[Middleware(Guard), *layers],
        exception_handlers={Problem: on_problem, HTTPException: on_http_error},
        lifespan=lifespan,
    )
    # A redirect would name the Host of the request; a path with one slash too many is simply unknown.
    app.router.redirect_slashes = False
    app.router.default = unknown_path(hint)
    return app
