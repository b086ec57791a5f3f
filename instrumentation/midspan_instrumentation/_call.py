"""One call of a target is one operation; sync and async share everything but the await."""

from __future__ import annotations

import weakref
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from typing import cast

from midspan.tracking import instrumenting
from midspan_instrumentation import _content
from midspan_instrumentation._body import ObservedBody
from midspan_instrumentation._generators import GENERATORS, reset, sending
from midspan_instrumentation._guard import guarded
from midspan_instrumentation._patch import Wrapper
from midspan_instrumentation._stream import Watch, record
from midspan_instrumentation.provider import Provider, Server, StreamClass, Target

current_call = cast("ContextVar[Call | None]", instrumenting.current_call)
"""The call whose SDK method runs in this context, for the transport and the stream classes."""


class Call:
    """A running call: its operation, and what the transport has seen of it so far."""

    __slots__ = ("attempts", "choices", "host", "last_error", "target", "tracker", "watch")

    def __init__(self, tracker: instrumenting.CallTracker, target: Target, choices: int, host: str | None) -> None:
        self.tracker = tracker
        self.target = target
        self.choices = choices
        self.host = host
        self.attempts = 0
        self.last_error: str | None = None
        self.watch: Watch | None = None

    def watched(self) -> Watch:
        """The watch of the call's response; made when its first response is seen unread."""
        if self.watch is None:
            self.watch = Watch(self.tracker, self.target, self.choices)
        return self.watch

    def returned(self, result: object) -> object:
        """The SDK's method returned: the operation ends now, or with the stream. Returns what the application gets."""
        if type(result) in GENERATORS:
            return self._follow(result) or result
        watch = self.watch
        try:
            if watch is not None:
                watch.held = False
                if not watch.is_over:
                    return result
            self._read(result)
            if not self.tracker.is_ended:
                self.tracker.complete()
        except Exception:
            instrumenting.report_failure("call")
        return result

    @guarded("stream")
    def _follow(self, generator: object) -> object:
        """The answer is a generator: another one in its place, which counts."""
        watch = self.watched()
        answer = sending(self, watch.follow(generator), generator)
        watch.held = False
        # One that is never begun is told nothing when it is dropped.
        weakref.finalize(answer, watch.body_dropped).atexit = False
        return answer

    @guarded("call")
    def raised(self, error: BaseException) -> None:
        """The SDK's method raised: the application sees this exception."""
        if self.watch is not None:
            self.watch.held = False
        if isinstance(error, GeneratorExit):
            # A coroutine dropped while it waited, possibly inside the garbage collector.
            instrumenting.abandoned(self.tracker, "dropped")
        elif not self.tracker.is_ended:
            self.tracker.end_with(error)

    def _read(self, result: object) -> None:
        try:
            content = self.tracker.state.content
            if content is not None:
                _content.answered(content, self.target, result)
            record(self.tracker, self.target.read_response(result))
        except Exception:
            instrumenting.report_failure("response reader")


def wrap_call(provider: Provider, target: Target) -> Wrapper:
    """The wrapper for a target."""
    return _async_wrapper(provider, target) if target.is_async else _sync_wrapper(provider, target)


def _sync_wrapper(provider: Provider, target: Target) -> Wrapper:
    def call_target(
        wrapped: Callable[..., object],
        instance: object,
        args: tuple[object, ...],
        kwargs: Mapping[str, object],
    ) -> object:
        call = _begin(provider, target, instance, args, kwargs)
        if call is None:
            return wrapped(*args, **kwargs)
        token = current_call.set(call)
        try:
            result = wrapped(*args, **kwargs)
        except BaseException as error:
            call.raised(error)
            raise
        finally:
            current_call.reset(token)
        return call.returned(result)

    return call_target


def _async_wrapper(provider: Provider, target: Target) -> Wrapper:
    async def await_target(
        instance: object,
        awaitable: Awaitable[object],
        args: tuple[object, ...],
        kwargs: Mapping[str, object],
    ) -> object:
        call = _begin(provider, target, instance, args, kwargs)
        if call is None:
            return await awaitable
        token = current_call.set(call)
        try:
            result = await awaitable
        except BaseException as error:
            call.raised(error)
            raise
        finally:
            reset(token)
        return call.returned(result)

    def call_target(
        wrapped: Callable[..., object],
        instance: object,
        args: tuple[object, ...],
        kwargs: Mapping[str, object],
    ) -> object:
        # Called at once, as the SDK's own method is: it refuses wrong arguments before the await.
        awaitable = cast(Awaitable[object], wrapped(*args, **kwargs))
        return await_target(instance, awaitable, args, kwargs)

    return call_target


def _begin(
    provider: Provider,
    target: Target,
    instance: object,
    args: tuple[object, ...],
    kwargs: Mapping[str, object],
) -> Call | None:
    """The call's operation; None if it is not to be seen."""
    try:
        if _is_inside(target) or instrumenting.suppressed(provider.read_client(instance)):
            return None
        request = target.read_request(*args, **kwargs)
        server = provider.read_server(instance)
        kind = target.operation, target.operation_type, server.provider or provider.name, request.model, server
        tracker = instrumenting.start_call(
            _kinds.get(kind) or _kind(*kind),
            stream=request.stream,
            max_tokens=request.max_tokens,
            timeout=server.timeout if request.timeout is None else request.timeout,
            attributes=request.attributes,
        )
        capture = instrumenting.capture()
        if capture is not None:
            _content.begin(tracker, target, capture, args, kwargs)
        return Call(tracker, target, request.choices, server.address)
    except Exception:
        instrumenting.report_failure("call")
        return None


def _is_inside(target: Target) -> bool:
    """True where the SDK's own method calls this one to send its request, as `parse` called `create` in openai 1.40."""
    outer = current_call.get()
    return outer is not None and not outer.attempts and outer.target.operation == target.operation


_kinds: dict[tuple[str, str, str, str | None, Server], instrumenting.CallKind] = {}
MAX_KINDS = 1_000
MAX_KEPT = 128
"""Characters of a model's name: a longer one is no name, and is not kept."""


def _kind(
    operation: str, operation_type: str, provider: str, model: str | None, server: Server
) -> instrumenting.CallKind:
    """What these calls have in common; kept, because an application makes a few kinds of calls, and many of each."""
    attributes = {"server.address": server.address, "server.port": server.port}
    kind = instrumenting.CallKind(operation, provider, model, operation_type, attributes)
    if len(_kinds) < MAX_KINDS and len(model or "") <= MAX_KEPT:
        _kinds[operation, operation_type, provider, model, server] = kind
    return kind


def wrap_stream(kind: StreamClass) -> Wrapper:
    """The wrapper for the `__init__` of an SDK's class of streams.

    Every stream is made there, also one that `parse()` of a raw response makes later; its
    response's body, or else the context, tells which call it belongs to."""

    def init_stream(
        wrapped: Callable[..., object],
        instance: object,
        args: tuple[object, ...],
        kwargs: Mapping[str, object],
    ) -> object:
        result = wrapped(*args, **kwargs)
        _follow(kind, instance)
        return result

    return init_stream


@guarded("stream")
def _follow(kind: StreamClass, stream: object) -> None:
    watch = _watch_of(getattr(stream, kind.response, None))
    if watch is None or watch.tracker.is_ended:
        return
    watching = watch.follow(getattr(stream, kind.iterator, None))
    if watching is None:
        instrumenting.logger.warning(
            "%s keeps no iterator in %r: its chunks are not counted", kind.qualname, kind.iterator
        )
        return
    setattr(stream, kind.iterator, watching)


def _watch_of(response: object) -> Watch | None:
    body = getattr(response, "stream", None)
    if isinstance(body, ObservedBody):
        return cast(Watch, body.midspan_watch)
    # A client of another kind than those that the transport knows: the iterator alone is watched.
    call = current_call.get()
    return None if call is None else call.watched()
