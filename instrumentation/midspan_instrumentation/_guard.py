"""The one place where a failure of the instrumentation itself stops."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from midspan.tracking import instrumenting

P = ParamSpec("P")
R = TypeVar("R")


def guarded(component: str) -> Callable[[Callable[P, R]], Callable[P, R | None]]:
    """Make a function that returns None instead of raising, and reports what it raised."""

    def decorate(function: Callable[P, R]) -> Callable[P, R | None]:
        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R | None:
            try:
                return function(*args, **kwargs)
            except Exception:
                instrumenting.report_failure(component)
                return None

        return call

    return decorate
