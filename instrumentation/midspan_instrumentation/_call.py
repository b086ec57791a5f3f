"""One call of a target is one operation; sync and async share everything but the await."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from typing import cast

from midspan.tracking import instrumenting
from midspan_instrumentation import _content
from midspan_instrumentation._body import ObservedBody
from midspan_instrumentation._covering import CoveringWatch, watch_stream
from midspan_instrumentation._generators import GENERATORS, reset, sending
from midspan_instrumentation._guard import guarded
from midspan_instrumentation._patch import Wrapper
from midspan_instrumentation._stream import Watch, read_answer, record
from midspan_instrumentation._unread import watch_body
from midspan_instrumentation.provider import Provider, Server, StreamClass, Target

current_call = cast("ContextVar[Call | None]", instrumenting.current_call)
"""The call whose SDK method runs in this context, for the transport and the stream classes."""


class Call:
    """A running call: its operation, and what the transport has seen of it so far."""

    __slots__ = ("attempts", "choices", "host", "is_written", "last_error", "parts", "target", "tracker", "watch")

    def __init__(self, tracker: instrumenting.CallTracker, target: Target, choices: int, host: str | None) -> None:
        self.tracker = tracker
        self.target = target
        self.choices = choices
        self.host = host
        self.attempts = 0
        self.is_written = False
        self.parts = 0
        self.last_error: str | None = None
        self.watch: Watch | None = None

    def watched(self) -> Watch:
        """The watch of the call's response; made when its first response is seen unread."""
        if self.watch is None:
            kind = CoveringWatch if self.target.covers_others else Watch
            self.watch = kind(self.tracker, self.target, self.choices)
        return self.watch

    def returned(self, result: object) -> object:
        """The SDK's method returned: the operation ends now, or with the stream. Returns what the application gets."""
        if type(result) in GENERATORS:
            return self._follow(result) or result
        watch = self.watch
        try:
            if self.target.covers_others:
                if watch_stream(self, result):
                    return result
            elif watch is not None:
                watch.held = False
                if not watch.is_over:
                    self._handed_over(result, watch)
                    return result
            found = read_answer(self.tracker, self.target, result)
            if not self.tracker.is_ended and not (found and found.goes_on_as and self._goes_on(*found.goes_on_as)):
                self.tracker.complete()
        except Exception:
            instrumenting.report_failure("call")
        return result

    def _goes_on(self, provider: str, job_id: str) -> bool:
        """What was asked for is made after the call: its operation goes on as that job."""
        return instrumenting.became_job(provider, job_id, self.tracker.state)

    @guarded("parts")
    def divide(self, parts: int) -> None:
        """The SDK makes so many requests of it: with several, each is a step of its progress."""
        self.parts = parts
        with instrumenting.attached(self.tracker):
            # Decides the span here, where the caller's is current: in a thread none is.
            pass
        if parts > 1:
            self.tracker.set_total(parts, "batches")
            # They are all under way at once: of none of them the transport tells more.
            self.tracker.enter_stage(instrumenting.Stage.WAITING_FIRST_CHUNK)

    @guarded("stream")
    def _follow(self, generator: object) -> object:
        """The answer is a generator: another one in its place, which counts."""
        watch = self.watched()
        answer = sending(self, watch, generator)
        watch.held = False
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

    def _handed_over(self, result: object, watch: Watch) -> None:
        """The body is not read yet: whoever reads it ends the operation."""
        body = self.target.find_body(result)
        if body is not None:
            watch_body(body, watch)
            record(self.tracker, self.target.read_response(result))


def wrap_call(provider: Provider, target: Target) -> Wrapper:
    """The wrapper for a target."""
    if target.choose is not None:
        return _choosing_wrapper(provider, target.choose)
    return _async_wrapper(provider, target) if target.is_async else _sync_wrapper(provider, target)


def _choosing_wrapper(provider: Provider, choose: Callable[..., Target | None]) -> Wrapper:
    wrappers: dict[Target, Wrapper] = {}

    def call_target(
        wrapped: Callable[..., object],
        instance: object,
        args: tuple[object, ...],
        kwargs: Mapping[str, object],
    ) -> object:
        # Without the guard's own function: calls that are no operations come by here too.
        try:
            target = choose(instance, *args, **kwargs)
        except Exception:
            instrumenting.report_failure("call")
            target = None
        if target is None:
            return wrapped(*args, **kwargs)
        wrapper = wrappers.get(target) or wrappers.setdefault(target, wrap_call(provider, target))
        return wrapper(wrapped, instance, args, kwargs)

    return call_target


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
        server = request.server or provider.read_server(instance)
        model = request.model or server.model
        kind = target.operation, target.operation_type, server.provider or provider.name, model, server
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
        call = Call(tracker, target, request.choices, None if target.covers_others else server.address)
        if request.parts:
            call.divide(request.parts)
        if request.steps:
            tracker.update(total_steps=request.steps)
        return call
    except Exception:
        instrumenting.report_failure("call")
        return None


def _is_inside(target: Target) -> bool:
    """True where the SDK's own method calls this one to send its request, as `parse` called `create` in openai 1.40,
    where it calls itself to send another one, and where an SDK that is built on others calls theirs."""
    outer = current_call.get()
    if outer is None or outer.tracker.is_ended:
        return False
    is_first = not outer.attempts and outer.target.operation == target.operation
    return is_first or outer.target is target or outer.target.covers_others


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
    """The wrapper for the `__init__` of an SDK's class of streams, or for its `maker`.

    Every stream passes there, also one that `parse()` of a raw response makes later; its
    response's body, or else the context, tells which call it belongs to."""

    def init_stream(
        wrapped: Callable[..., object],
        instance: object,
        args: tuple[object, ...],
        kwargs: Mapping[str, object],
    ) -> object:
        result = wrapped(*args, **kwargs)
        _replace(kind, instance)
        return result

    def make_iterator(
        wrapped: Callable[..., object],
        instance: object,
        args: tuple[object, ...],
        kwargs: Mapping[str, object],
    ) -> object:
        iterator = wrapped(*args, **kwargs)
        return _followed(kind, instance, iterator) or iterator

    return init_stream if kind.maker is None else make_iterator


@guarded("stream")
def _replace(kind: StreamClass, stream: object) -> None:
    watching = _followed(kind, stream, getattr(stream, kind.iterator, None))
    if watching is not None:
        setattr(stream, kind.iterator, watching)


@guarded("stream")
def _followed(kind: StreamClass, stream: object, iterator: object) -> object | None:
    """The iterator that counts, in the place of the stream's own; None where there is nothing to be seen."""
    watch = _watch_of(getattr(stream, kind.response, None))
    if watch is None or watch.tracker.is_ended or watch.target.covers_others:
        return None
    watching = watch.follow(iterator)
    if watching is None:
        instrumenting.logger.warning(
            "%s keeps no iterator in %r: its chunks are not counted", kind.qualname, kind.iterator
        )
    elif kind.asked is not None:
        _answer(getattr(stream, kind.response), kind.asked)
    return watching


def _answer(response: object, asked: str) -> None:
    """What the SDK asks the body for at each chunk stands on it: passing that on would cost more than all the rest."""
    body = getattr(response, "stream", None)
    if isinstance(body, ObservedBody):
        setattr(body, asked, getattr(body, asked, None))


def _watch_of(response: object) -> Watch | None:
    body = response if isinstance(response, ObservedBody) else _observed(getattr(response, "stream", None))
    if body is not None:
        return cast(Watch, body.midspan_watch)
    # A client of another kind than those that the transport knows: the iterator alone is watched.
    call = current_call.get()
    return None if call is None else call.watched()


def _observed(body: object) -> ObservedBody | None:
    """The body that the transport has put there, also inside of one that the SDK has put around it in its turn."""
    if isinstance(body, ObservedBody):
        return body
    return next((each for each in getattr(body, "__dict__", {}).values() if isinstance(each, ObservedBody)), None)
