"""aiohttp: the session's `_request`, which returns when the headers are there, and whatever reads the body then."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast
from urllib.parse import urlsplit

from midspan_instrumentation._body import BodyWatch, ObservedBody, observed_class
from midspan_instrumentation._patch import Patch
from midspan_instrumentation._transport import Attempt, connect_async, wait_for_answer, wrap_send_async

_READS = ("read", "readany", "readchunk", "readexactly", "readline", "readuntil")
_OWN = frozenset((*_READS, "read_nowait", "iter_any", "iter_chunked", "iter_chunks"))
"""What is done by way of the observed reads; everything else of a body is asked of the body itself."""


class _ObservedContent:
    """Stands in the place of a response's `content`, of which it is a subclass with no attributes of its own."""

    def __getattribute__(self, name: str) -> Any:
        if name in _OWN or name.startswith("midspan_"):
            return object.__getattribute__(self, name)
        return getattr(object.__getattribute__(self, "midspan_body"), name)

    def read_nowait(self, *args: Any, **kwargs: Any) -> Any:
        return _told(self, cast(Any, self).midspan_body.read_nowait(*args, **kwargs))


def _reading(name: str) -> Callable[..., Awaitable[object]]:
    async def read(self: Any, *args: Any, **kwargs: Any) -> object:
        try:
            part = await getattr(self.midspan_body, name)(*args, **kwargs)
        except BaseException as error:
            self.midspan_watch.body_raised(error)
            raise
        return _told(self, part)

    return read


for _name in _READS:
    setattr(_ObservedContent, _name, _reading(_name))


def _told(content: Any, part: Any) -> object:
    data: bytes = cast(Any, part)[0] if isinstance(part, tuple) else part
    if data:
        content.midspan_watch.received(data)
    if content.midspan_body.at_eof():
        content.midspan_watch.body_read()
    return cast(object, part)


class _ObservedResponse(ObservedBody):
    """A response that tells when it is closed, given back or dropped; it is the response itself."""

    def close(self) -> None:
        during = sys.exc_info()[0]
        try:
            cast(Any, super()).close()
        finally:
            self.midspan_watch.body_closed(during)

    def release(self) -> Any:
        during = sys.exc_info()[0]
        try:
            return cast(Any, super()).release()
        finally:
            self.midspan_watch.body_closed(during)

    def __del__(self) -> None:
        super().__del__()
        cast(Any, super(ObservedBody, self)).__del__()


def _observe(response: Any, watch: BodyWatch) -> None:
    body: object = response.content
    content = cast(Any, object).__new__(observed_class(type(body), _ObservedContent))
    content.midspan_body, content.midspan_watch = body, watch
    response.midspan_watch = watch
    response.__class__ = observed_class(cast(Any, type(response)), _ObservedResponse)
    response.content = content


def _host_of(session: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str | None:
    url = args[1] if len(args) > 1 else kwargs.get("str_or_url")
    host: str | None = urlsplit(str(url)).hostname
    return host or session._base_url.host


def _answered(attempt: Attempt, response: Any) -> None:
    if response.status >= 400:
        attempt.refused(response.status, response.headers)
    else:
        _observe(response, attempt.unread())


def patches(_package: str) -> tuple[Patch, ...]:
    """The session, and below it where it connects and begins to wait for an answer."""
    return (
        Patch("aiohttp.client", "ClientSession._request", wrap_send_async(_host_of, _answered)),
        Patch("aiohttp.connector", "TCPConnector._create_connection", connect_async, optional=True),
        Patch("aiohttp.connector", "UnixConnector._create_connection", connect_async, optional=True),
        Patch("aiohttp.client_reqrep", "ClientResponse.start", wait_for_answer, optional=True),
    )
