"""Tasks in a process that ends or forks: what runs is ended with a reason, and nothing is taken from the parent."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from tests.processes.programs import run

TASKS = """
import asyncio, midspan, threading, time
from midspan.tracking.tasks import get_tasks
midspan.instrument()
telemetry(sys.argv[1])
tasks = get_tasks()

@midspan.task("coroutine")
async def coroutine():
    await asyncio.sleep(60)

@midspan.task("generator")
def generator():
    while True:
        yield {"status": "working"}
        time.sleep(0.01)

@midspan.task("function")
def function():
    time.sleep(60)

@midspan.task("add")
def add(a: int, b: int):
    return a + b

def running(operation_id):
    eventually(lambda: midspan.get_progress_registry().get(operation_id).status == "running")
    return operation_id

def result(operation_id):
    *_, last = midspan.watch(operation_id, 30)
    return last.result
"""


@pytest.mark.parametrize(
    ("name", "line"), [("coroutine", "cancelled"), ("generator", "cancelled"), ("function", "lost")]
)
def test_a_task_that_runs_at_exit_is_ended_and_the_process_ends(name: str, line: str, tmp_path: Path) -> None:
    code = f"""
class Endings:
    def on_start(self, state): pass
    on_update = on_start
    def on_end(self, state): print(state.status, state.status_reason, flush=True)

midspan.get_progress_registry().add_processor(Endings())
running(tasks.start({name!r}, {{}}))
"""
    assert run(TASKS + code, str(tmp_path / "spans")) == f"{line} process exit\n"
    assert (tmp_path / "spans").read_text() == f"{name} {line}\n"


def test_a_forked_child_starts_without_the_parents_tasks_and_can_run_its_own(tmp_path: Path) -> None:
    code = """
    held = [running(tasks.start(name, {})) for name in ("coroutine", "generator", "function")]
    key = result(tasks.start("add", {"a": 1, "b": 2}, idempotency_key="k")) == 3

    def child():
        assert tasks.runner.running == 0 and threads() == []
        assert result(tasks.start("add", {"a": 2, "b": 2}, idempotency_key="k")) == 4
        assert all(midspan.get_progress_registry().get(each) is None for each in held)
        operation_id = running(tasks.start("coroutine", {}))
        tasks.cancel(operation_id, "enough")
        *_, last = midspan.watch(operation_id, 30)
        assert last.status_reason == "enough"

    assert forked(child) == 0
    tasks.cancel(held[0], "for the parent")
    *_, last = midspan.watch(held[0], 30)
    assert last.status_reason == "for the parent"
    assert result(tasks.start("add", {"a": 1, "b": 2}, idempotency_key="k")) == 3
    """
    run(TASKS + dedent(code), str(tmp_path / "spans"), stderr=None)
