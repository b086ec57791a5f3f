"""A FastAPI application, with a middleware of the kind that puts itself between a stream and its client."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from tests.mounting.host import HostError, State

state = State()
app = FastAPI(lifespan=state.lifespan)
app.mount("/midspan", state.mount())


@app.middleware("http")
async def marked(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    response = await call_next(request)
    response.headers["x-host"] = "yes"
    return response


@app.exception_handler(HostError)
async def handled(_: Request, error: HostError) -> Response:
    return PlainTextResponse(str(error), status_code=418)


@app.get("/state")
async def tell() -> dict[str, Any]:
    return state.tell()


@app.get("/teapot")
async def teapot() -> None:
    raise HostError("short and stout")


@app.get("/broken")
async def broken() -> None:
    raise RuntimeError("of the host's own")
