"""Who the process is, what waits for its first operation, and what its end ends. Forks: tests/processes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from midspan.core.operation import Status
from midspan.runtime.process import SERVED_BY, FirstOperation, end_running, owner, serving_process
from midspan.tracking.tracker import ProgressRegistry, ProgressTracker


def test_the_owner_is_this_process() -> None:
    assert owner().pid == os.getpid()
    assert owner().host


def test_what_runs_at_exit_is_lost_with_the_process(registry: ProgressRegistry) -> None:
    tracker = ProgressTracker("job", registry=registry)
    tracker.start()
    end_running(registry)
    operation = registry.get("job")
    assert operation is not None
    assert (operation.status, operation.status_reason) == (Status.LOST, "process exit")


def test_at_the_first_operation_each_action_is_called_once(registry: ProgressRegistry) -> None:
    called: list[str] = []
    first = FirstOperation(registry)

    def one() -> None:
        called.append("one")
        first.then(two)

    def two() -> None:
        called.append("two")

    first.then(one)
    first.then(one)
    for _ in range(2):
        ProgressTracker(registry=registry).complete()
    assert called == ["one", "two"]
    first.then(one)
    first.forget()
    ProgressTracker(registry=registry).complete()
    assert called == ["one", "two"]


def test_an_operation_that_starts_meanwhile_in_another_thread_waits_for_what_the_first_one_does(
    registry: ProgressRegistry,
) -> None:
    happened: list[str] = []

    def second() -> None:
        ProgressTracker(registry=registry)
        happened.append("second")

    def action() -> None:
        thread.start()
        thread.join(0.02)
        happened.append("first")

    thread = threading.Thread(target=second)
    FirstOperation(registry).then(action)
    ProgressTracker(registry=registry)
    thread.join()
    assert happened == ["first", "second"]


def test_only_another_living_process_counts_as_serving(monkeypatch: pytest.MonkeyPatch) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        monkeypatch.setenv(SERVED_BY, str(other.pid))
        assert serving_process() == other.pid
        other.communicate()
    assert serving_process() is None
    for nobody in (str(os.getpid()), "", "x", "-1"):
        monkeypatch.setenv(SERVED_BY, nobody)
        assert serving_process() is None
    monkeypatch.delenv(SERVED_BY)
    assert serving_process() is None
