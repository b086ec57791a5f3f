"""At the HTTP client's own `send`: where a call's span is decided, and its attempts are seen."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from typing import Protocol, cast

from midspan.tracking import instrumenting
from midspan_instrumentation._body import observe
from midspan_instrumentation._call import Call, current_call
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

    __slots__ = ("call", "scope", "token")

    def __init__(self, call: Call) -> None:
        self.call = call
        self.scope: AbstractContextManager[object] | None = None
        self.token = current_call.set(None)
        try:
            call.attempts += 1
            if call.attempts > 1:
                call.tracker.retrying(call.attempts, call.last_error)
            scope = instrumenting.attached(call.tracker)
            scope.__enter__()
            self.scope = scope
        except Exception:
            instrumenting.report_failure("transport")

    def left(self, kind: type[BaseException] | None = None) -> None:
        """The client has sent it, or has failed to with this kind of exception."""
        if kind is not None:
            self.call.last_error = kind.__qualname__
        try:
            if self.scope is not None:
                self.scope.__exit__(None, None, None)
        except Exception:
            instrumenting.report_failure("transport")
        try:
            current_call.reset(self.token)
        except ValueError:
            # Closed from another context than its own: that one is gone anyway.
            return

    def answered(self, response: _Response, is_async: bool) -> None:
        """The headers are there, and the body as well unless the SDK asked for it unread."""
        self.left()
        call = self.call
        try:
            if response.status_code >= 400:
                call.last_error = str(response.status_code)
            elif response.is_closed or response.is_stream_consumed:
                call.tracker.counts.bytes = response.num_bytes_downloaded
                call.tracker.enter_stage(instrumenting.Stage.PROCESSING_RESPONSE)
            else:
                response.stream = observe(response.stream, call.watched(), is_async)
                call.tracker.enter_stage(instrumenting.Stage.WAITING_FIRST_CHUNK)
        except Exception:
            instrumenting.report_failure("transport")


def _call_sent(args: tuple[object, ...], kwargs: Mapping[str, object]) -> Call | None:
    """The call that this request belongs to. SDKs also fetch credentials, from other hosts."""
    call = current_call.get()
    if call is None or call.host is None:
        return call
    try:
        request = cast(_Request, args[0] if args else kwargs.get("request"))
        return call if request.url.host == call.host else None
    except Exception:
        instrumenting.report_failure("transport")
        return None


def _send(
    wrapped: Callable[..., object],
    _instance: object,
    args: tuple[object, ...],
    kwargs: Mapping[str, object],
) -> object:
    call = _call_sent(args, kwargs)
    if call is None:
        return wrapped(*args, **kwargs)
    attempt = _Attempt(call)
    try:
        response = wrapped(*args, **kwargs)
    except BaseException as error:
        attempt.left(type(error))
        raise
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
    attempt = _Attempt(call)
    try:
        response = await cast(Awaitable[object], wrapped(*args, **kwargs))
    except BaseException as error:
        attempt.left(type(error))
        raise
    attempt.answered(cast(_Response, response), is_async=True)
    return response


def patches() -> tuple[Patch, ...]:
    """The HTTP clients' own `send`, which custom transports and subclasses pass through too."""
    return tuple(
        Patch(f"{library}._client", f"{name}.send", wrapper)
        for library in ("httpx2", "httpx")
        for name, wrapper in (("Client", _send), ("AsyncClient", _send_async))
    )
