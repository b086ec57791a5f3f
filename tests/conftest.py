"""Every test starts with an empty default registry, and midspan's own bugs are loud."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from time import monotonic, sleep

import pytest

from midspan.core import failures
from midspan.testing import FakeClock
from midspan.tracking.tracker import ProgressRegistry, get_progress_registry


@pytest.fixture(autouse=True, scope="module")
def cheap_collections() -> Iterator[None]:
    """What was there before a module's tests is looked at once, and not by the collection after each of them."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def loud_failures_and_clean_registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Our own exceptions re-raise; nothing of one test is seen by the next."""
    monkeypatch.setattr(failures, "raising", True)
    get_progress_registry().clear()
    yield
    gc.collect()
    get_progress_registry().clear()
    failures.reset()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def registry(clock: FakeClock) -> ProgressRegistry:
    """A registry of the test's own, on the test's own clock."""
    return ProgressRegistry(clock=clock)


@pytest.fixture(scope="session")
def eventually() -> Callable[[Callable[[], object], float], None]:
    """Poll a condition until it holds, or fail at a deadline (seconds)."""

    def poll(condition: Callable[[], object], within: float = 10.0) -> None:
        end = monotonic() + within
        while not condition():
            assert monotonic() < end, f"not true within {within} s: {condition}"
            sleep(0.005)

    return poll
