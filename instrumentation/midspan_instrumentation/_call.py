"""One call of a target is one operation; sync and async share everything but the await."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from typing import cast

from midspan.tracking import instrumenting
from midspan_instrumentation import _content
from midspan_instrumentation._generators import GENERATORS, reset, sending
from midspan_instrumentation._guard import guarded
from midspan_instrumentation._patch import Wrapper
from midspan_instrumentation._pools import watch_pool
from midspan_instrumentation._stream import Watch, follow_in, read_answer, record
from midspan_instrumentation._unread import watch_body
from midspan_instrumentation.provider import Dispatch, Provider, Server, Target, replace

current_call = cast("ContextVar[Call | None]", instrumenting.current_call)
"""The call whose SDK method runs in this context, for the transport and the stream classes."""


class Call:
    """A running call: its operation, and what the transport has seen of it so far."""

    __slots__ = ("attempts", "choices", "host", "is_written", "last_error", "parts", "target", "tracker", "watch")

    covers_others = False
    """Whether calls of other SDKs inside of it are part of it."""

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
            self.watch = Watch(self.tracker, self.target, self.choices)
        return self.watch

    def returned(self, result: object) -> object:
        """The SDK's method returned: the operation ends now, or with the stream. Returns what the application gets."""
        if type(result) in GENERATORS:
            return self._follow(result) or result
        try:
            if not self.goes_on_in(result):
                self._answered(result)
        except Exception:
            instrumenting.report_failure("call")
        return result

    def goes_on_in(self, result: object) -> bool:
        """True for a result that is not read yet: whoever reads it ends the operation."""
        watch = self.watch
        if watch is None:
            return False
        watch.held = False
        if watch.is_over:
            return False
        if self.target.body is not None:
            self._hand_over(self.target.body.find(result), result, watch)
        if self.target.iterator is not None:
            follow_in(result, self.target.iterator, watch)
        return True

    def _answered(self, result: object) -> None:
        tracker = self.tracker
        found = read_answer(tracker, self.target, result)
        if not (found and found.goes_on_as and self._goes_on(*found.goes_on_as)) and not tracker.is_ended:
            # Not by the tracker: an answer has no message and no error to be looked for, and the application waits.
            tracker.registry.end(tracker.state, instrumenting.Status.COMPLETED)

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

    def _hand_over(self, body: object, result: object, watch: Watch) -> None:
        if body is not None:
            watch_body(body, watch)
            record(self.tracker, self.target.read_response(result))


def wrap_call(provider: Provider, target: Target, kind: type[Call] = Call) -> Wrapper:
    """The wrapper for a target; its calls are of this `kind`."""
    return (_async_wrapper if target.is_async else _sync_wrapper)(provider, target, kind)


def wrap_dispatch(provider: Provider, dispatch: Dispatch) -> Wrapper:
    """The wrapper for a `Dispatch`."""
    choose = dispatch.choose
    wrappers: dict[Target, Wrapper] = {}

    def wrapper_of(target: Target) -> Wrapper:
        called = replace(target, is_async=True) if dispatch.is_async else target
        return wrappers.setdefault(target, wrap_call(provider, called))

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
        wrapper = wrappers.get(target) or wrapper_of(target)
        return wrapper(wrapped, instance, args, kwargs)

    return call_target


def _sync_wrapper(provider: Provider, target: Target, kind: type[Call]) -> Wrapper:
    def call_target(
        wrapped: Callable[..., object],
        instance: object,
        args: tuple[object, ...],
        kwargs: Mapping[str, object],
    ) -> object:
        call = _begin(provider, target, kind, instance, args, kwargs)
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


def _async_wrapper(provider: Provider, target: Target, kind: type[Call]) -> Wrapper:
    async def await_target(
        instance: object,
        awaitable: Awaitable[object],
        args: tuple[object, ...],
        kwargs: Mapping[str, object],
    ) -> object:
        call = _begin(provider, target, kind, instance, args, kwargs)
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
    kind: type[Call],
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
        named = target.operation, target.operation_type, server.provider or provider.name, model, server
        tracker = instrumenting.start_call(
            _kinds.get(named) or _kind(*named),
            stream=request.stream,
            max_tokens=request.max_tokens,
            timeout=server.timeout if request.timeout is None else request.timeout,
            attributes=request.attributes,
        )
        capture = tracker.registry.capture
        if capture is not instrumenting.NO_CAPTURE:
            _content.begin(tracker, target, capture, args, kwargs)
        call = kind(tracker, target, request.choices, server.address)
        if request.parts:
            call.divide(request.parts)
            if provider.pool is not None:
                watch_pool(getattr(instance, provider.pool, None))
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
    return is_first or outer.target is target or outer.covers_others


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
