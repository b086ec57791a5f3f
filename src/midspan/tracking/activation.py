"""Being current: which tracker the running code belongs to, and its span around the same code."""

from __future__ import annotations

from contextlib import AbstractContextManager, suppress
from contextvars import ContextVar, Token
from types import TracebackType
from typing import TYPE_CHECKING

from midspan.core import failures

if TYPE_CHECKING:
    from midspan.tracking.tracker import ProgressTracker

current_tracker: ContextVar[ProgressTracker | None] = ContextVar("midspan_tracker", default=None)


class Activation(AbstractContextManager[None]):
    """Makes a tracker and its span current inside one `with`; it neither starts nor ends the operation."""

    __slots__ = ("_span", "_token", "_tracker")

    def __init__(self, tracker: ProgressTracker, span: AbstractContextManager[object]) -> None:
        self._tracker = tracker
        self._span = span
        self._token: Token[ProgressTracker | None] | None = None

    def __enter__(self) -> None:
        self._token = current_tracker.set(self._tracker)
        try:
            self._span.__enter__()
        except Exception:
            failures.report("spans")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._span.__exit__(None, None, None)
        except Exception:
            failures.report("spans")
        if self._token is not None:
            # Left in another context than entered (a `with` inside an async generator): nothing to restore there.
            with suppress(ValueError):
                current_tracker.reset(self._token)
