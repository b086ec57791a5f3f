"""What machines ask now and then: `/metrics`, `/healthz`, `/readyz`."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from midspan.server.problem import Problem

Metrics = Callable[[str], tuple[bytes, str]]
"""The value of the Accept header → (body, content type)."""


def always() -> bool:
    """The readiness of a process that has nothing to wait for."""
    return True


def probe_routes(metrics: Metrics, ready: Callable[[], bool] = always) -> list[Route]:
    """The three routes. `ready` is asked on every `/readyz`."""

    # Not a coroutine: collecting may take tens of milliseconds, which must not stop the event loop of an app.
    def scrape(request: Request) -> Response:
        body, content_type = metrics(request.headers.get("accept", ""))
        return Response(body, headers={"content-type": content_type})

    async def healthz(_: Request) -> Response:
        return PlainTextResponse("ok")

    async def readyz(_: Request) -> Response:
        if not ready():
            raise Problem(503, "not-ready", "not ready yet, or about to stop")
        return PlainTextResponse("ok")

    return [Route("/metrics", scrape), Route("/healthz", healthz), Route("/readyz", readyz)]
