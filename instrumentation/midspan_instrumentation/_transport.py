"""One sending of a call's request, whichever HTTP library sends it: its span is decided here, its attempts are seen.

What is said here of a library stands in its own file: `_transport_httpx.py`, `_transport_botocore.py` and so on.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Any, cast

from midspan.tracking import instrumenting
from midspan_instrumentation._call import Call, current_call
from midspan_instrumentation._generators import reset
from midspan_instrumentation._guard import guarded
from midspan_instrumentation._patch import Wrapper
from midspan_instrumentation._retry import seconds_told
from midspan_instrumentation._stream import Watch

in_flight: ContextVar[Call | None] = ContextVar("midspan_in_flight", default=None)
"""The call whose request is on its way in this context, for what the library does below: connecting and writing."""


HostOf = Callable[[object, tuple[Any, ...], Mapping[str, Any]], str | None]
"""Finds the host that a request goes to, given the object whose method sends it and the method's arguments."""


def call_sending(
    host_of: HostOf, instance: object, args: tuple[object, ...], kwargs: Mapping[str, object]
) -> Call | None:
    """The call that a request belongs to. SDKs also fetch credentials, from other hosts."""
    call = current_call.get()
    if call is None:
        return None
    try:
        # Ended: a task that the call has begun, and that has outlived it.
        is_another = call.tracker.is_ended or (call.host is not None and host_of(instance, args, kwargs) != call.host)
    except Exception:
        instrumenting.report_failure("transport")
        return None
    return None if is_another else call


class Attempt:
    """One sending of a call's request: the call's span is current, the call itself is not, so that
    what an authentication flow or an event hook sends is not taken for it."""

    __slots__ = ("_current", "_in_flight", "_scope", "call")

    def __init__(self, call: Call) -> None:
        self.call = call
        self._scope: AbstractContextManager[object] | None = None
        self._current = current_call.set(None)
        self._in_flight = in_flight.set(call)
        try:
            call.attempts += 1
            call.is_written = False
            if call.attempts > 1:
                call.tracker.retrying(call.attempts, call.last_error)
            scope = instrumenting.attached(call.tracker)
            scope.__enter__()
            self._scope = scope
        except Exception:
            instrumenting.report_failure("transport")

    def left(self, error: BaseException | None = None) -> None:
        """The client has sent it, or has raised this: a client may raise for the server's status itself."""
        if error is not None:
            self._raised(error)
        try:
            if self._scope is not None:
                self._scope.__exit__(None, None, None)
        except Exception:
            instrumenting.report_failure("transport")
        reset(self._in_flight, self._current)

    def refused(self, status: int, headers: Mapping[str, str]) -> None:
        """The server has answered with an error."""
        self._failed(str(status), seconds_told(headers))

    @guarded("transport")
    def _raised(self, error: Any) -> None:
        status = getattr(error, "status", None)
        if isinstance(status, int) and status >= 400:
            self.refused(status, getattr(error, "headers", None) or {})
        else:
            self._failed(type(error).__qualname__)

    @guarded("transport")
    def _failed(self, error: str, retry_after: float | None = None) -> None:
        self.call.last_error = error
        self.call.tracker.attempt_failed(error, retry_after)

    def read(self, size: int) -> None:
        """The whole answer is there: the SDK makes something of its `size` bytes."""
        tracker = self.call.tracker
        tracker.counts.bytes = size
        tracker.passes_to(instrumenting.Stage.PROCESSING_RESPONSE)

    def unread(self) -> Watch:
        """The headers are there, the body is not: who is told what becomes of it."""
        written(self.call)
        return self.call.watched()


Answered = Callable[[Attempt, Any], None]
"""Looks at a response: was the request refused, is the body read. Its failures stop here."""


def wrap_send(host_of: HostOf, answered: Answered) -> Wrapper:
    """The wrapper for the method by which a library sends a request and returns the response."""

    def send(
        wrapped: Callable[..., object], instance: object, args: tuple[object, ...], kwargs: Mapping[str, object]
    ) -> object:
        call = call_sending(host_of, instance, args, kwargs)
        if call is None:
            return wrapped(*args, **kwargs)
        attempt = Attempt(call)
        try:
            response = wrapped(*args, **kwargs)
        except BaseException as error:
            attempt.left(error)
            raise
        attempt.left()
        _look_at(attempt, response, answered)
        return response

    return send


def wrap_send_async(host_of: HostOf, answered: Answered) -> Wrapper:
    """The same for a coroutine function."""

    async def send(call: Call, sending: Awaitable[object]) -> object:
        attempt = Attempt(call)
        try:
            response = await sending
        except BaseException as error:
            attempt.left(error)
            raise
        attempt.left()
        _look_at(attempt, response, answered)
        return response

    def begin(
        wrapped: Callable[..., object], instance: object, args: tuple[object, ...], kwargs: Mapping[str, object]
    ) -> object:
        sending = cast(Awaitable[object], wrapped(*args, **kwargs))
        call = call_sending(host_of, instance, args, kwargs)
        return sending if call is None else send(call, sending)

    return begin


def _look_at(attempt: Attempt, response: object, answered: Answered) -> None:
    try:
        answered(attempt, response)
    except Exception:
        instrumenting.report_failure("transport")


def written(call: Call) -> None:
    """The request has been written: whatever comes now comes from the model. Told once an attempt."""
    if call.is_written:
        return
    call.is_written = True
    try:
        call.tracker.passes_to(instrumenting.Stage.WAITING_FIRST_CHUNK)
    except Exception:
        instrumenting.report_failure("transport")


def wait_for_answer(
    wrapped: Callable[..., object], _instance: object, args: tuple[object, ...], kwargs: Mapping[str, object]
) -> object:
    """The wrapper for the method by which a library begins to read a response."""
    call = in_flight.get()
    if call is not None:
        written(call)
    return wrapped(*args, **kwargs)


@guarded("transport")
def connecting(call: Call) -> None:
    """The request needs a new connection."""
    if not call.tracker.is_ended:
        call.tracker.connecting()


@guarded("transport")
def connected(call: Call) -> None:
    """The connection stands: the request is written to it."""
    if not call.tracker.is_ended:
        call.tracker.enter_stage(instrumenting.Stage.SENDING_REQUEST)


def connect(
    wrapped: Callable[..., object], _instance: object, args: tuple[object, ...], kwargs: Mapping[str, object]
) -> object:
    """The wrapper for the method by which a library makes a new connection."""
    call = in_flight.get()
    if call is None:
        return wrapped(*args, **kwargs)
    connecting(call)
    connection = wrapped(*args, **kwargs)
    connected(call)
    return connection


def connect_async(
    wrapped: Callable[..., object], _instance: object, args: tuple[object, ...], kwargs: Mapping[str, object]
) -> object:
    """The same for a coroutine function."""
    call = in_flight.get()
    coroutine = wrapped(*args, **kwargs)
    return coroutine if call is None else _connect(call, cast(Awaitable[object], coroutine))


async def _connect(call: Call, coroutine: Awaitable[object]) -> object:
    connecting(call)
    connection = await coroutine
    connected(call)
    return connection
