"""One tracked call of a decorated function: the tracker is current while its body runs, and ends with it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, TypeVar

from midspan.core import failures
from midspan.core.text import clean
from midspan.tracking.outcome import kept_result, outcome_of
from midspan.tracking.switches import suppressed
from midspan.tracking.tracker import ProgressRegistry, ProgressTracker

COMPONENT = "decorator"
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Recipe:
    """What the tracker of each call is made with; `read` adds to that what it finds in the call's arguments."""

    operation_type: str
    name: str
    total_steps: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    read: Callable[..., Mapping[str, Any]] | None = None

    def open(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> ProgressTracker | None:
        """A pending tracker; one that nobody sees where midspan is switched off; None after a failure of ours."""
        try:
            options = dict(self.options)
            if self.read is not None:
                options.update(self.read(*args, **kwargs))
            attributes, prompt = options.pop("attributes", None), options.pop("prompt", None)
            if suppressed():
                options["registry"] = ProgressRegistry()
            tracker = ProgressTracker(None, str(self.operation_type), self.total_steps, name=self.name, **options)
            tracker.state.learned = attributes
            if isinstance(prompt, str) and tracker.registry.capture.preview:
                tracker.state.preview = clean(prompt)
            return tracker
        except Exception:
            failures.report(COMPONENT)
            return None


class Run(AbstractContextManager["Run"]):
    """Makes a tracker current inside `with`, and ends its operation the way that the body is left."""

    __slots__ = ("_active", "tracker")

    def __init__(self, tracker: ProgressTracker | None) -> None:
        self.tracker = tracker
        self._active: AbstractContextManager[object] | None = None

    def __enter__(self) -> Self:
        if self.tracker is None:
            return self
        try:
            # Once only: the last resume may be the garbage collector's, where no lock must be taken.
            if self.tracker.state.started_at is None:
                self.tracker.start()
            active = self.tracker.activate()
            active.__enter__()
            self._active = active
        except Exception:
            failures.report(COMPONENT)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        active, self._active = self._active, None
        try:
            if active is not None:
                active.__exit__(None, None, None)
            if self.tracker is not None and not self.tracker.is_ended:
                self.left(self.tracker, error)
        except Exception:
            failures.report(COMPONENT)

    def returned(self, value: R) -> R:
        """The body returns this; it is kept where the application has asked for content."""
        try:
            tracker = self.tracker
            if tracker is not None and tracker.registry.capture.preview and value is not None:
                tracker.state.result = kept_result(value)
        except Exception:
            failures.report(COMPONENT)
        return value

    def left(self, tracker: ProgressTracker, error: BaseException | None) -> None:
        """The body was left; `error` is what it raised."""
        tracker.end_with(error)


class Resumes(Run):
    """As `Run`, around each resume of a generator: only its last one ends the operation."""

    __slots__ = ("closing",)

    def __init__(self, tracker: ProgressTracker | None) -> None:
        super().__init__(tracker)
        self.closing = False

    def left(self, tracker: ProgressTracker, error: BaseException | None) -> None:
        if error is None:
            return
        if isinstance(error, StopIteration):
            self.returned(error.value)
        ended = None if isinstance(error, (StopIteration, StopAsyncIteration)) else error
        if not self.closing:
            tracker.end_with(ended)
            return
        # A closed generator may be one that the garbage collector found: there an ending is only noted.
        outcome = outcome_of(ended or GeneratorExit())
        reason = outcome.reason or type(ended).__name__
        tracker.registry.drop(tracker.state, outcome.status, reason)


def tracked(fn: Callable[..., Any], recipe: Recipe) -> Callable[..., Any]:
    """`fn` as a tracked function of its own kind: plain, coroutine, generator or async generator function."""
    if inspect.isasyncgenfunction(fn):
        return _async_generator(fn, recipe)
    if inspect.isgeneratorfunction(fn):
        return _generator(fn, recipe)
    return _coroutine(fn, recipe) if inspect.iscoroutinefunction(fn) else _function(fn, recipe)


def _function(fn: Callable[..., Any], recipe: Recipe) -> Callable[..., Any]:
    @functools.wraps(fn)
    def call(*args: Any, **kwargs: Any) -> Any:
        with Run(recipe.open(args, kwargs)) as run:
            return run.returned(fn(*args, **kwargs))

    return call


def _coroutine(fn: Callable[..., Coroutine[Any, Any, Any]], recipe: Recipe) -> Callable[..., Any]:
    @functools.wraps(fn)
    async def call(*args: Any, **kwargs: Any) -> Any:
        with Run(recipe.open(args, kwargs)) as run:
            return run.returned(await fn(*args, **kwargs))

    return call


# The two below forward every resume to the inner generator. What to resume it with waits in a list, because a local
# variable that holds a thrown exception would make a cycle with its traceback.


def _generator(fn: Callable[..., Generator[Any, Any, Any]], recipe: Recipe) -> Callable[..., Any]:
    @functools.wraps(fn)
    def call(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        generator = fn(*args, **kwargs)
        run = Resumes(recipe.open(args, kwargs))
        resume = [functools.partial(generator.send, None)]
        while True:
            try:
                with run:
                    item = resume.pop()()
            except StopIteration as stop:
                return stop.value
            try:
                resume.append(functools.partial(generator.send, (yield item)))
            except BaseException as error:
                run.closing = isinstance(error, GeneratorExit)
                resume.append(functools.partial(generator.throw, error))

    return call


def _async_generator(fn: Callable[..., AsyncGenerator[Any, Any]], recipe: Recipe) -> Callable[..., Any]:
    @functools.wraps(fn)
    async def call(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        generator = fn(*args, **kwargs)
        run = Resumes(recipe.open(args, kwargs))
        resume: list[Callable[[], Any]] = [functools.partial(generator.asend, None)]
        while True:
            try:
                with run:
                    item = await resume.pop()()
            except StopAsyncIteration:
                return
            try:
                resume.append(functools.partial(generator.asend, (yield item)))
            except BaseException as error:
                run.closing = isinstance(error, GeneratorExit)
                resume.append(functools.partial(generator.athrow, error))

    return call
