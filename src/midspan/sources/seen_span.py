"""What is remembered of a span while it is open: weakly, and until its end or its loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from weakref import ref

from opentelemetry.sdk.trace import Span

from midspan.core.state import State


class SeenSpan:
    """An open span of another tool.

    `call` is the instrumented call that was running when it started; `is_late` when it was only reported after such a
    call that it covers; `around` the id of the innermost operation around it that is none of another tool's span;
    `parent` the open span around it. `decided` once it is known what it stands for; then `state` is its operation, if
    it has one of its own, and `same` that of the call it is one more span of. `taken` once its operation was given to
    the call that it is the span of.
    """

    __slots__ = (
        "__weakref__", "_lost", "around", "call", "decided", "is_call", "is_late",
        "looks", "parent", "same", "span", "span_id", "state", "taken",
    )  # fmt: skip

    def __init__(self, span: Span, span_id: int, parent: SeenSpan | None, lost: Callable[[SeenSpan], None]) -> None:
        self.span_id = span_id
        self.parent = parent
        self.around: str | None = None
        self.call: State | None = None
        self.decided = self.is_call = self.is_late = self.taken = False
        self.looks = 0
        self.state: State | None = None
        self.same: State | None = None
        self._lost = lost
        self.span: ref[Span] | None = ref(span, self._gone)

    def _gone(self, _: ref[Span]) -> None:
        """Possibly inside the garbage collector: `lost` only notes it."""
        if self.span is not None:
            self._lost(self)

    def close(self) -> None:
        """The span has ended; whether its object lives on is nobody's matter."""
        self.span = None

    @property
    def is_running(self) -> bool:
        """True while it has an operation of its own that has not ended."""
        return self.state is not None and not self.state.is_ended

    def innermost(self) -> State | None:
        """The innermost running operation of this span and those around it."""
        return next((each.state for each in (self, *self.line()) if each.is_running), None)

    def line(self) -> Iterator[SeenSpan]:
        """The spans around it, innermost first."""
        above = self.parent
        while above is not None:
            yield above
            above = above.parent
