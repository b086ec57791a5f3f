"""The web page at `/`: the files of `page/` as they stand there, without a build step, sent to whoever asks.

They show nothing by themselves, so they need no token: the page asks for one, and reads the API with it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cache
from importlib.resources import files

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

FOLDER = "/page/"
START = "index.html"
POLICY = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src data:; "
    "frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {"content-security-policy": POLICY, "referrer-policy": "no-referrer"}
_MEDIA = {"html": "text/html", "js": "text/javascript", "css": "text/css"}
_SHIPPED = files("midspan.server") / "page"


def page_routes() -> list[Route]:
    """`/`, and `/page/NAME` for each file beside it."""
    names = sorted(file.name for file in _SHIPPED.iterdir() if _ending(file.name) in _MEDIA)
    return [Route("/" if name == START else FOLDER + name, _sender(name)) for name in names]


def is_page(route: str) -> bool:
    """True for the paths of the page's own files."""
    return route == "/" or route.startswith(FOLDER)


def _ending(name: str) -> str:
    return name.rpartition(".")[2]


def _sender(name: str) -> Callable[[Request], Awaitable[Response]]:
    headers = {**HEADERS, "content-type": f"{_MEDIA[_ending(name)]}; charset=utf-8"}

    async def send(_: Request) -> Response:
        return Response(await run_in_threadpool(_content, name), headers=headers)

    return send


@cache
def _content(name: str) -> bytes:
    """Kept once it was read: the files do not change while the process runs."""
    return (_SHIPPED / name).read_bytes()
