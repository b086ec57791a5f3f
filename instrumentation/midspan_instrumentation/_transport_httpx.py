"""httpx and httpx2: the client's own `send`, which custom transports and subclasses pass through too."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, Protocol, cast

from midspan_instrumentation._body import observe
from midspan_instrumentation._call import Call
from midspan_instrumentation._patch import Patch
from midspan_instrumentation._transport import (
    Attempt,
    connect,
    connect_async,
    in_flight,
    wrap_send,
    wrap_send_async,
    written,
)


class _Response(Protocol):
    status_code: int
    headers: Mapping[str, str]
    is_closed: bool
    is_stream_consumed: bool
    num_bytes_downloaded: int
    stream: object


def _host_of(_client: object, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
    return (args[0] if args else kwargs["request"]).url.host


def _answered(attempt: Attempt, response: _Response, is_async: bool = False) -> None:
    """The headers are there, and the body as well unless the SDK asked for it unread."""
    if response.status_code >= 400:
        attempt.refused(response.status_code, response.headers)
    elif response.is_closed or response.is_stream_consumed:
        attempt.read(response.num_bytes_downloaded)
    else:
        response.stream = observe(response.stream, attempt.unread(), is_async)


def _answered_async(attempt: Attempt, response: _Response) -> None:
    _answered(attempt, response, is_async=True)


def _write(
    wrapped: Callable[..., object], _instance: object, args: tuple[object, ...], kwargs: Mapping[str, Any]
) -> object:
    result = wrapped(*args, **kwargs)
    call = in_flight.get()
    if call is not None and not call.is_written and not _is_for_proxy(args, kwargs):
        written(call)
    return result


def _write_async(
    wrapped: Callable[..., object], _instance: object, args: tuple[object, ...], kwargs: Mapping[str, Any]
) -> object:
    call = in_flight.get()
    coroutine = cast(Awaitable[object], wrapped(*args, **kwargs))
    return coroutine if call is None or _is_for_proxy(args, kwargs) else _written(call, coroutine)


async def _written(call: Call, coroutine: Awaitable[object]) -> object:
    result = await coroutine
    written(call)
    return result


def _is_for_proxy(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """True for the request by which a proxy is asked for a tunnel to the server."""
    return getattr(args[0] if args else kwargs.get("request"), "method", None) == b"CONNECT"


_CLIENTS = (
    ("Client.send", wrap_send(_host_of, _answered)),
    ("AsyncClient.send", wrap_send_async(_host_of, _answered_async)),
)
_CONNECTIONS = (
    ("_sync.connection", "HTTPConnection._connect", connect),
    ("_async.connection", "AsyncHTTPConnection._connect", connect_async),
    ("_sync.http11", "HTTP11Connection._send_request_body", _write),
    ("_async.http11", "AsyncHTTP11Connection._send_request_body", _write_async),
    ("_sync.http2", "HTTP2Connection._send_request_body", _write),
    ("_async.http2", "AsyncHTTP2Connection._send_request_body", _write_async),
)


def patches(library: str) -> Iterator[Patch]:
    """The clients, sync and async; and below them, where their own transport connects and writes the request."""
    for qualname, wrapper in _CLIENTS:
        yield Patch(f"{library}._client", qualname, wrapper)
    core = library.replace("httpx", "httpcore")
    for module, qualname, wrapper in _CONNECTIONS:
        yield Patch(f"{core}.{module}", qualname, wrapper, optional=True)
