"""A Starlette application that packs its answers."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests.mounting.host import HostError, State

state = State()


class Marked:
    """Middleware that names the host in every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def marking(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-host", b"yes")]
            await send(message)

        await self.app(scope, receive, marking)


async def handled(_: Request, error: Exception) -> Response:
    return PlainTextResponse(str(error), status_code=418)


async def tell(_: Request) -> Response:
    return JSONResponse(state.tell())


async def teapot(_: Request) -> Response:
    raise HostError("short and stout")


async def broken(_: Request) -> Response:
    raise RuntimeError("of the host's own")


app = Starlette(
    routes=[
        Mount("/midspan", state.mount()),
        Route("/state", tell),
        Route("/teapot", teapot),
        Route("/broken", broken),
    ],
    middleware=[Middleware(Marked), Middleware(GZipMiddleware)],
    exception_handlers={HostError: handled},
    lifespan=state.lifespan,
)
