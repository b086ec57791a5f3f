"""Every test starts with an empty default registry, and midspan's own bugs are loud."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from functools import partial
from time import monotonic, sleep

import pytest

from midspan.core import failures
from midspan.testing import FakeClock
from midspan.tracking.tracker import ProgressRegistry, get_progress_registry

TOLD = "told"


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
def tell(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Say a line in the summary, which is what comes through from the processes that tests are shared out to."""
    return partial(record_property, TOLD)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for report in terminalreporter.getreports("passed"):
        for name, line in report.user_properties:
            if name == TOLD and report.when == "call":
                terminalreporter.write_line(f"{line}")


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Keep how the run ended beside the tests that failed, where those are kept: `.ci/run` reads both."""
    cache: pytest.Cache | None = getattr(session.config, "cache", None)
    if cache is not None and not hasattr(session.config, "workerinput"):
        cache.set("midspan/exitstatus", int(exitstatus))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def registry(clock: FakeClock) -> ProgressRegistry:
    """A registry of the test's own, on the test's own clock."""
    return ProgressRegistry(clock=clock)


@pytest.fixture(scope="session")
def eventually() -> Callable[..., None]:
    """Poll a condition until it holds, or fail at a deadline (seconds) and tell what was `seen` instead."""

    def poll(condition: Callable[[], object], within: float = 30.0, seen: Callable[[], object] | None = None) -> None:
        end = monotonic() + within
        while not condition():
            if monotonic() >= end:
                pytest.fail(f"not true within {within} s: {condition}" + (f"; seen: {seen()}" if seen else ""))
            sleep(0.005)

    return poll
