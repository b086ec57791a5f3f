"""The ASGI application: routes, and what every request passes on its way to them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Route

from midspan.core.registry import Registry
from midspan.server.auth import TokenCheck
from midspan.server.guard import Guard
from midspan.server.hosts import HostCheck
from midspan.server.limits import UrlLimit
from midspan.server.probes import Metrics, always, probe_routes
from midspan.server.problem import Problem, on_http_error, on_problem
from midspan.server.rest import rest_routes
from midspan.server.tokens import Tokens


def create_app(
    registry: Registry,
    *,
    metrics: Metrics,
    allowed_hosts: Iterable[str] = (),
    token: str | None = None,
    ready: Callable[[], bool] = always,
) -> Starlette:
    """The whole HTTP API over `registry`, to be served, or mounted into another app under any prefix.

    `metrics` takes the Accept header and returns (body, content type). `allowed_hosts` are answered besides the
    loopback names. With `token` (one or more, as `Tokens.parse` reads them) all but the two probes need one.
    """
    routes = [*rest_routes(registry), *probe_routes(metrics, ready)]
    layers = [
        Middleware(UrlLimit),
        Middleware(HostCheck, allowed_hosts),
        Middleware(TokenCheck, Tokens.parse(token or "")),
    ]
    return _assemble(routes, layers)


def create_metrics_app(metrics: Metrics, *, ready: Callable[[], bool] = always) -> Starlette:
    """Only `/metrics`, `/healthz` and `/readyz`, for whoever asks: without Host check and token."""
    return _assemble(probe_routes(metrics, ready), [Middleware(UrlLimit)])


def _assemble(routes: list[Route], layers: list[Middleware]) -> Starlette:
    app = Starlette(
        routes=routes,
        middleware=[Middleware(Guard), *layers],
        exception_handlers={Problem: on_problem, HTTPException: on_http_error},
    )
    # A redirect would name the Host of the request; a path with one slash too many is simply unknown.
    app.router.redirect_slashes = False
    return app
