"""At the HTTP client's own `send`: where a call's span is decided, and its attempts are seen."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from contextvars import Token
from types import TracebackType
from typing import Protocol, Self, cast

from midspan.tracking import instrumenting
from midspan_instrumentation._body import observe
from midspan_instrumentation._call import Call, current_call
from midspan_instrumentation._guard import guarded
from midspan_instrumentation._patch import Patch


class _Url(Protocol):
    host: str


class _Request(Protocol):
    url: _Url


class _Response(Protocol):
    status_code: int
    is_closed: bool
    is_stream_consumed: bool
    num_bytes_downloaded: int
    stream: object


class _Attempt:
    """One sending of a call's request: the call's span is current, the call itself is not, so that
    what an authentication flow or an event hook sends is not taken for it."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self._scope: AbstractContextManager[object] = nullcontext()
        self._token: Token[Call | None] | None = None

    def __enter__(self) -> Self:
        self._token = current_call.set(None)
        self._begin()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end(kind)
        if self._token is not None:
            try:
                current_call.reset(self._token)
            except ValueError:
                # Closed from another context than its own: that one is gone anyway.
                return

    @guarded("transport")
    def _begin(self) -> None:
        call = self.call
        call.attempts += 1
        if call.attempts > 1:
            call.tracker.retrying(call.attempts, call.last_error)
        scope = instrumenting.attached(call.tracker)
        scope.__enter__()
        self._scope = scope

    @guarded("transport")
    def _end(self, kind: type[BaseException] | None) -> None:
        if kind is not None:
            self.call.last_error = kind.__qualname__
        self._scope.__exit__(None, None, None)

    @guarded("transport")
    def answered(self, response: _Response, is_async: bool) -> None:
        """The headers are there, and the body as well unless the SDK asked for it unread."""
        call = self.call
        if response.status_code >= 400:
            call.last_error = str(response.status_code)
        elif response.is_closed or response.is_stream_consumed:
            call.tracker.counts.bytes = response.num_bytes_downloaded
            call.tracker.enter_stage(instrumenting.Stage.PROCESSING_RESPONSE)
        else:
            response.stream = observe(response.stream, call.watched(), is_async)
            call.tracker.enter_stage(instrumenting.Stage.WAITING_FIRST_CHUNK)


def _call_of(args: tuple[object, ...], kwargs: Mapping[str, object]) -> Call | None:
    """The call that this request belongs to. SDKs also fetch credentials, from other hosts."""
    call = current_call.get()
    if call is None or call.host is None:
        return call
    request = cast(_Request, args[0] if args else kwargs.get("request"))
    return call if request.url.host == call.host else None


_call_sent = guarded("transport")(_call_of)


def _send(
    wrapped: Callable[..., object],
    _instance: object,
    args: tuple[object, ...],
    kwargs: Mapping[str, object],
) -> object:
    call = _call_sent(args, kwargs)
    if call is None:
        return wrapped(*args, **kwargs)
    with _Attempt(call) as attempt:
        response = wrapped(*args, **kwargs)
    attempt.answered(cast(_Response, response), is_async=False)
    return response


async def _send_async(
    wrapped: Callable[..., object],
    _instance: object,
    args: tuple[object, ...],
    kwargs: Mapping[str, object],
) -> object:
    call = _call_sent(args, kwargs)
    if call is None:
        return await cast(Awaitable[object], wrapped(*args, **kwargs))
    with _Attempt(call) as attempt:
        response = await cast(Awaitable[object], wrapped(*args, **kwargs))
    attempt.answered(cast(_Response, response), is_async=True)
    return response


def patches() -> tuple[Patch, ...]:
    """The HTTP clients' own `send`, which custom transports and subclasses pass through too."""
    return tuple(
        Patch(f"{library}._client", f"{name}.send", wrapper)
        for library in ("httpx2", "httpx")
        for name, wrapper in (("Client", _send), ("AsyncClient", _send_async))
    )
