"""Functions that are started by name: what they take, how they run, how they end."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from midspan import get_progress_tracker, progress, task
from midspan.core import failures
from midspan.core.operation import Operation, Status
from midspan.tracking.cancelling import CancelOutcome
from midspan.tracking.idempotency import MAX_KEYS, IdempotencyError
from midspan.tracking.job import Job
from midspan.tracking.parameters import ArgumentError
from midspan.tracking.runner import TasksFullError
from midspan.tracking.task import Task
from midspan.tracking.tasks import Tasks, UnknownTaskError, get_tasks
from midspan.tracking.tracker import ProgressRegistry
from midspan.tracking.watching import watch

SOON = 10.0


@pytest.fixture
def registry() -> ProgressRegistry:
    return ProgressRegistry()


@pytest.fixture
def tasks(registry: ProgressRegistry) -> Iterator[Tasks]:
    made = Tasks(registry, max_running=2, max_queued=2)
    yield made
    made.stop(within=5)


def add(tasks: Tasks, function: Callable[..., Any], name: str | None = None, **options: Any) -> str:
    made = Task.of(name or function.__name__, function, options)
    tasks.add(made)
    return made.name


def ended(tasks: Tasks, operation_id: str) -> Operation:
    """The operation, once it has ended."""
    *_, last = watch(operation_id, SOON, registry=tasks.registry)
    return last


def run(tasks: Tasks, function: Callable[..., Any], **arguments: Any) -> Operation:
    return ended(tasks, tasks.start(add(tasks, function), arguments))


# --- running --------------------------------------------------------------------------------------


def double(n: int) -> int:
    return 2 * n


async def double_later(n: int) -> int:
    await asyncio.sleep(0)
    return 2 * n


def count(n: int) -> Iterator[dict[str, Any]]:
    for i in range(n):
        yield {"progress": (i + 1) / n, "status": f"{i + 1} of {n}"}
    return 2 * n


async def count_later(n: int) -> AsyncIterator[dict[str, Any]]:
    for i in range(n):
        yield {"progress": (i + 1) / n, "status": f"{i + 1} of {n}"}
    yield {"result": 2 * n}


@functools.wraps(double_later)
def decorated(**arguments: Any) -> Any:
    return double_later(**arguments)


@pytest.mark.parametrize("function", [double, double_later, count, count_later, decorated, progress(count)])
def test_a_task_of_every_kind_runs_to_its_result(tasks: Tasks, function: Callable[..., Any]) -> None:
    operation = run(tasks, function, n=3)
    assert (operation.status, operation.result, operation.progress) == (Status.COMPLETED, 6, 1.0)


@pytest.mark.parametrize("function", [count, count_later, progress(count)])
def test_what_a_generator_yields_is_its_operations_progress(tasks: Tasks, function: Callable[..., Any]) -> None:
    assert run(tasks, function, n=3).message == "3 of 3"


def test_the_runs_tracker_is_current_inside(tasks: Tasks) -> None:
    def whose() -> str:
        return get_progress_tracker().operation_id

    operation = run(tasks, whose)
    assert (operation.result, operation.name) == (operation.operation_id, "whose")


def test_a_task_may_end_its_operation_itself(tasks: Tasks) -> None:
    def said() -> None:
        get_progress_tracker().complete("all said", result=[1])

    operation = run(tasks, said)
    assert (operation.message, operation.result) == ("all said", [1])


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_task_does_not_run_in_the_context_of_whoever_starts_it(tasks: Tasks, kind: str) -> None:
    from opentelemetry.instrumentation.utils import is_instrumentation_enabled, suppress_instrumentation

    def seen() -> bool:
        return is_instrumentation_enabled()

    async def seen_later() -> bool:
        return seen()

    with suppress_instrumentation():
        assert run(tasks, seen if kind == "sync" else seen_later).result is True


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_what_a_task_raises_fails_its_operation_and_is_logged(
    tasks: Tasks, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> None:
        raise ValueError("no good")

    async def broken_later() -> None:
        raise ValueError("no good")

    operation = run(tasks, broken if kind == "sync" else broken_later)
    assert operation.status is Status.FAILED and operation.error is not None
    assert (operation.error.type, operation.error.message) == ("ValueError", "no good")
    assert "has failed" in caplog.text and "no good" in caplog.text


def test_a_thread_that_exits_ends_only_its_own_task(tasks: Tasks) -> None:
    def leave() -> None:
        raise SystemExit

    assert run(tasks, leave).status_reason == "SystemExit"
    assert run(tasks, double, n=1).result == 2


def test_a_result_of_more_than_64_kib_is_shortened_and_counted(tasks: Tasks) -> None:
    def large() -> str:
        return "x" * 70_000

    operation = run(tasks, large)
    assert len(operation.result) <= 512 and operation.metadata == {"result_truncated": True}
    assert tasks.runner.results_dropped == 1


# --- how many at a time ---------------------------------------------------------------------------


class Gate:
    """A task that waits until it is let go."""

    def __init__(self) -> None:
        self.open = threading.Event()

    def wait(self) -> None:
        assert self.open.wait(SOON)


@pytest.fixture
def gate(tasks: Tasks) -> Iterator[Gate]:
    made = Gate()
    add(tasks, made.wait, "wait")
    yield made
    made.open.set()


def status(tasks: Tasks, operation_id: str) -> Status:
    operation = tasks.registry.get(operation_id)
    assert operation is not None
    return operation.status


def test_more_than_may_run_wait_pending_and_then_run_in_their_order(
    tasks: Tasks, gate: Gate, eventually: Callable[..., None]
) -> None:
    ids = [tasks.start("wait", {}) for _ in range(4)]
    eventually(lambda: [status(tasks, each) for each in ids[:2]] == [Status.RUNNING] * 2)
    assert [status(tasks, each) for each in ids[2:]] == [Status.PENDING] * 2
    gate.open.set()
    last = [ended(tasks, each) for each in ids]
    assert {each.status for each in last} == {Status.COMPLETED}
    assert (last[2].started_at or 0) >= (last[2].created_at)


def test_when_no_more_may_wait_a_start_is_refused_and_leaves_no_operation(tasks: Tasks, gate: Gate) -> None:
    ids = [tasks.start("wait", {}) for _ in range(4)]
    with pytest.raises(TasksFullError, match="2 tasks run and 2 wait"):
        tasks.start("wait", {})
    assert len(tasks.registry.operations()) == 4
    gate.open.set()
    for each in ids:
        ended(tasks, each)
    assert run(tasks, double, n=1).result == 2


def test_places_are_given_back_however_a_task_ends(tasks: Tasks, eventually: Callable[..., None]) -> None:
    def broken() -> None:
        raise ValueError

    for function in (double, broken, count_later, double_later, count) * 3:
        run(tasks, function, **({} if function is broken else {"n": 1}))
    eventually(lambda: tasks.runner.running == 0)
    assert tasks.runner._places == 0


# --- cancelling -----------------------------------------------------------------------------------


async def forever() -> None:
    await asyncio.Event().wait()


def until_asked() -> str:
    tracker = get_progress_tracker()
    while not tracker.cancel_requested:
        tracker.update(message="working")
    return "finished anyway"


def endless() -> Iterator[dict[str, Any]]:
    try:
        while True:
            yield {"status": "working"}
    finally:
        CLOSED.append("endless")


async def endless_later() -> AsyncIterator[dict[str, Any]]:
    try:
        while True:
            yield {"status": "working"}
    finally:
        CLOSED.append("endless_later")


CLOSED: list[str] = []


def cancelled(tasks: Tasks, function: Callable[..., Any], eventually: Callable[..., None]) -> Operation:
    operation_id = tasks.start(add(tasks, function), {})
    eventually(lambda: status(tasks, operation_id) is Status.RUNNING)
    assert tasks.cancel(operation_id, "not needed") is CancelOutcome.REQUESTED
    return ended(tasks, operation_id)


@pytest.mark.parametrize("function", [forever, endless, endless_later])
def test_a_coroutine_is_cancelled_and_a_generator_closed(
    tasks: Tasks, function: Callable[..., Any], eventually: Callable[..., None]
) -> None:
    CLOSED.clear()
    operation = cancelled(tasks, function, eventually)
    assert (operation.status, operation.status_reason) == (Status.CANCELLED, "not needed")
    assert ([] if function is forever else [function.__name__]) == CLOSED


def test_a_function_that_finishes_anyway_is_completed(tasks: Tasks, eventually: Callable[..., None]) -> None:
    operation = cancelled(tasks, until_asked, eventually)
    assert (operation.status, operation.result) == (Status.COMPLETED, "finished anyway")
    assert operation.cancel.mode == "cooperative" and operation.cancel.requested_at is not None


def test_a_function_that_gives_up_for_it_is_cancelled_with_the_reason(
    tasks: Tasks, eventually: Callable[..., None]
) -> None:
    def gives_up() -> None:
        until_asked()
        raise asyncio.CancelledError

    assert cancelled(tasks, gives_up, eventually).status_reason == "not needed"


def test_a_coroutine_that_does_not_let_itself_be_cancelled_is_completed(
    tasks: Tasks, eventually: Callable[..., None]
) -> None:
    async def stubborn() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "done all the same"

    operation = cancelled(tasks, stubborn, eventually)
    assert (operation.status, operation.result) == (Status.COMPLETED, "done all the same")
    assert operation.cancel.mode == "native"


def test_a_coroutine_that_fails_when_cancelled_has_failed(tasks: Tasks, eventually: Callable[..., None]) -> None:
    async def breaks() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError("while cleaning up")

    assert cancelled(tasks, breaks, eventually).status is Status.FAILED


def test_a_waiting_task_that_is_cancelled_is_never_run(
    tasks: Tasks, gate: Gate, eventually: Callable[..., None]
) -> None:
    ran: list[int] = []

    def late() -> None:
        ran.append(1)

    waiting = [tasks.start("wait", {}) for _ in range(2)]
    operation_id = tasks.start(add(tasks, late), {})
    assert tasks.cancel(operation_id) is CancelOutcome.REQUESTED
    operation = ended(tasks, operation_id)
    assert (operation.status, operation.status_reason) == (Status.CANCELLED, "cancelled on request")
    assert tasks.runner.queued == 0
    gate.open.set()
    for each in waiting:
        ended(tasks, each)
    assert ran == []
    eventually(lambda: tasks.runner._places == 0)


def test_a_run_that_is_cancelled_before_it_begins_does_nothing(tasks: Tasks) -> None:
    ran: list[int] = []
    job = Job(tasks.registry.create_tracker(), lambda: ran.append(1), False, tasks.runner)
    tasks.cancel(job.tracker.operation_id, "too late")
    job.run()
    assert (job.tracker.status, ran) == (Status.CANCELLED, [])


def test_cancelling_at_any_moment_ends_every_run(tasks: Tasks) -> None:
    """Right behind the start too, where the coroutine does not exist yet."""
    add(tasks, forever)
    for _ in range(50):
        operation_id = tasks.start("forever", {})
        tasks.cancel(operation_id)
        assert ended(tasks, operation_id).status is Status.CANCELLED


def test_cancelling_says_what_came_of_it(tasks: Tasks, gate: Gate) -> None:
    assert tasks.cancel("nobody") is CancelOutcome.UNKNOWN
    assert tasks.cancel(run(tasks, double, n=1).operation_id) is CancelOutcome.ENDED
    assert tasks.cancel(tasks.registry.create_tracker().operation_id) is CancelOutcome.UNSUPPORTED
    operation_id = tasks.start("wait", {})
    assert tasks.cancel(operation_id, "first") is tasks.cancel(operation_id, "second") is CancelOutcome.REQUESTED


def test_stopping_asks_every_run_to_stop(tasks: Tasks, gate: Gate) -> None:
    running = [tasks.start(add(tasks, forever), {}), tasks.start(add(tasks, endless), {})]
    waiting = tasks.start("wait", {})
    tasks.stop("server stopped", within=SOON)
    reasons = {ended(tasks, each).status_reason for each in [*running, waiting]}
    assert reasons == {"server stopped"}
    assert run(tasks, double_later, n=1).result == 2


def test_nothing_is_started_while_everything_is_being_stopped(
    tasks: Tasks, gate: Gate, eventually: Callable[..., None]
) -> None:
    operation_id = tasks.start("wait", {})
    stopping = threading.Thread(target=tasks.stop, kwargs={"within": SOON})
    stopping.start()
    eventually(lambda: tasks.registry.get(operation_id).cancel.requested_at)  # type: ignore[union-attr]
    with pytest.raises(TasksFullError, match="being stopped"):
        tasks.start("wait", {})
    gate.open.set()
    stopping.join(SOON)
    assert run(tasks, double, n=1).result == 2


def test_an_operation_whose_code_looks_for_it_can_be_cancelled(tasks: Tasks) -> None:
    tracker = tasks.registry.create_tracker()
    assert tasks.cancel(tracker.operation_id) is CancelOutcome.UNSUPPORTED
    assert not tracker.cancel_requested
    assert tasks.cancel(tracker.operation_id, "not needed") is CancelOutcome.REQUESTED
    assert tracker.cancel_requested
    tracker.cancel()
    assert tracker.get_progress_details().status_reason == "not needed"


def test_a_hook_that_fails_changes_nothing(tasks: Tasks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "raising", False)
    tracker = tasks.registry.create_tracker()
    tracker.state.cancel_mode, tracker.state.on_cancel = "native", lambda: 1 / 0
    assert tasks.cancel(tracker.operation_id) is CancelOutcome.REQUESTED
    assert failures.counts() == {"cancel": 1}


# --- the same call twice --------------------------------------------------------------------------


def test_the_same_key_and_call_give_the_same_operation(tasks: Tasks) -> None:
    add(tasks, double)
    first = tasks.start("double", {"n": 1}, idempotency_key="k")
    ended(tasks, first)
    assert tasks.start("double", {"n": 1}, idempotency_key="k") == first
    assert tasks.start("double", {"n": 1}) != first
    assert tasks.start("double", {"n": 1}, idempotency_key="k", principal="someone else") != first


def test_the_same_key_for_another_call_is_refused(tasks: Tasks) -> None:
    add(tasks, double)
    tasks.start("double", {"n": 1}, idempotency_key="k")
    with pytest.raises(IdempotencyError, match="'k' was used"):
        tasks.start("double", {"n": 2}, idempotency_key="k")


def test_the_same_key_at_the_same_time_starts_one(registry: ProgressRegistry) -> None:
    tasks = Tasks(registry)
    add(tasks, double)
    with ThreadPoolExecutor(8) as pool:
        ids = set(pool.map(lambda _: tasks.start("double", {"n": 1}, idempotency_key="k"), range(40)))
    assert len(ids) == 1
    tasks.stop(within=SOON)
    assert len(registry.operations()) == 1


def test_a_refused_start_does_not_take_its_key(tasks: Tasks, gate: Gate) -> None:
    ids = [tasks.start("wait", {}) for _ in range(4)]
    with pytest.raises(TasksFullError):
        tasks.start("wait", {}, idempotency_key="k")
    gate.open.set()
    for each in ids:
        ended(tasks, each)
    assert status(tasks, tasks.start("wait", {}, idempotency_key="k")) is not None


def test_of_keys_only_the_newest_are_kept_and_the_others_counted(tasks: Tasks) -> None:
    add(tasks, double)
    for number in range(MAX_KEYS + 3):
        ended(tasks, tasks.start("double", {"n": 1}, idempotency_key=str(number)))
    assert (len(tasks.keys), tasks.keys.dropped) == (MAX_KEYS, 3)


# --- registering ----------------------------------------------------------------------------------


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> dict[str, Task]:
    """The process-wide tasks, as they were again afterwards."""
    found: dict[str, Task] = {}
    monkeypatch.setattr(get_tasks(), "_tasks", found)
    return found


def test_the_decorator_registers_and_leaves_the_function_as_it_is(registered: dict[str, Task]) -> None:
    def plain() -> str:
        """Does nothing."""
        return "called"

    assert task("some-name", total_steps=4, operation_type="batch")(plain) is plain
    assert task(plain) is plain and task()(plain) is plain
    assert sorted(registered) == ["plain", "some-name"]
    assert plain() == "called"


def test_a_task_says_what_it_takes(registered: dict[str, Task]) -> None:
    @task("render")
    def render(document: str, pages: int = 3, *, draft: bool = False) -> None:
        """Render a document."""

    assert registered["render"].describe() == {
        "name": "render",
        "description": "Render a document.",
        "parameters": {
            "type": "object",
            "properties": {
                "document": {"type": "string"},
                "pages": {"type": "integer", "default": 3},
                "draft": {"type": "boolean", "default": False},
            },
            "required": ["document"],
        },
        "cancel": "cooperative",
    }


def test_options_are_those_of_each_runs_operation(registered: dict[str, Task]) -> None:
    @task("batch", operation_type="batch", total_steps=4, stall_after=5, deadline=60)
    def batch() -> None:
        get_progress_tracker().update(1)

    operation = ended(get_tasks(), get_tasks().start("batch", {}))
    assert (operation.operation_type, operation.step, operation.total_steps) == ("batch", 1, 4)
    assert operation.deadline_at is not None


def test_a_name_is_given_once_but_a_reloaded_module_may_register_again(registered: dict[str, Task]) -> None:
    task("same")(double)
    task("same")(double)
    with pytest.raises(ValueError, match=r"there is a task 'same' already: .*double"):
        task("same")(count)


@pytest.mark.parametrize("name", ["", "a/b", "-a", "a b", "é", "a" * 129])
def test_a_name_that_no_path_can_hold_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="task name"):
        task(name)(double)


def test_a_wrong_type_is_told_when_decorating() -> None:
    def positional(a: int, /) -> None: ...

    with pytest.raises(TypeError, match="'a' is positional-only"):
        task(positional)
    with pytest.raises(TypeError, match="@task is for functions, not int"):
        task("n")(3)  # type: ignore[type-var]
    with pytest.raises(TypeError, match="total_steps must be an int"):
        task("n", total_steps="4")  # type: ignore[call-overload]


def test_an_unknown_task_is_told_with_those_there_are(tasks: Tasks) -> None:
    with pytest.raises(UnknownTaskError, match="no task 'render'; there are: none"):
        tasks.start("render", {})
    add(tasks, double)
    with pytest.raises(UnknownTaskError, match="there are: double"):
        tasks.start("render", {})


@pytest.mark.parametrize(
    ("arguments", "parameter", "said"),
    [
        ({}, "n", "parameter 'n' is missing"),
        ({"n": "two"}, "n", "n: Expected `int`, got `str`"),
        ({"n": 1, "m": 2}, "m", "there is no parameter 'm'; there are: n"),
    ],
)
def test_bad_arguments_are_told_by_name_and_start_nothing(
    tasks: Tasks, arguments: dict[str, Any], parameter: str, said: str
) -> None:
    add(tasks, double)
    with pytest.raises(ArgumentError, match=said) as told:
        tasks.start("double", arguments)
    assert told.value.parameter == parameter
    assert tasks.registry.operations() == []
