"""`@progress`: a generator as a plain function, and what its yields do to its operation."""

from __future__ import annotations

import asyncio
import inspect
import typing
from collections.abc import AsyncIterator, Iterator

import pytest

from midspan.models import Operation, Status
from midspan.tracking.decorators import progress, track_progress
from midspan.tracking.stream import ProgressStream
from midspan.tracking.tracker import get_progress_registry, get_progress_tracker


def only() -> Operation:
    (operation,) = get_progress_registry().operations()
    return operation


def named(name: str) -> Operation:
    (operation,) = [found for found in get_progress_registry().operations() if found.name == name]
    return operation


@progress
def copy_files(files: list[str], fail_at: int = -1) -> str:  # type: ignore[misc]
    """Copies files."""
    for index, file in enumerate(files):
        yield {"progress": (index + 1) / len(files), "status": f"Copying {file}", "file": file}
        if index == fail_at:
            raise OSError(file)
    return f"{len(files)} copied"


def test_calling_it_runs_it_and_returns_its_result() -> None:
    assert copy_files(["a", "b"]) == "2 copied"
    operation = only()
    assert (operation.name, operation.operation_type, operation.status) == ("copy_files", "tool", Status.COMPLETED)
    assert (operation.message, operation.metadata) == ("Copying b", {"file": "b"})
    assert [event.progress for event in operation.history if event.type == "update"] == [0.5, 1.0]


def test_a_framework_sees_a_plain_function() -> None:
    assert not inspect.isgeneratorfunction(copy_files)
    assert (copy_files.__name__, copy_files.__doc__) == ("copy_files", "Copies files.")
    assert list(inspect.signature(copy_files).parameters) == ["files", "fail_at"]
    assert typing.get_type_hints(copy_files) == {"files": list[str], "fail_at": int, "return": str}


def test_its_exception_fails_it_and_is_raised() -> None:
    with pytest.raises(OSError, match="b"):
        copy_files(["a", "b"], fail_at=1)
    assert only().status is Status.FAILED


@pytest.mark.parametrize(
    ("item", "wanted"),
    [
        ({"progress": 7}, (1.0, None, {})),
        ({"progress": -3}, (0.0, None, {})),
        ({"progress": float("nan")}, (0.0, None, {})),
        ({"progress": "half"}, (0.0, None, {})),
        ({"progress": True}, (1.0, None, {})),
        ({"status": 404}, (0.0, "404", {})),
        ({"step": "Step 3", "stage": 1, "message": {}}, (0.0, None, {"step": "Step 3", "stage": 1, "message": {}})),
        ({1: "one"}, (0.0, None, {"1": "one"})),
        ("just text", (0.0, "just text", {})),
        (None, (0.0, None, {})),
        (0.5, (0.0, "0.5", {})),
        ({}, (0.0, None, {})),
    ],
)
def test_any_yield_is_tolerated(item: object, wanted: tuple[float, str | None, dict[str, object]]) -> None:
    @progress
    def tool() -> Iterator[object]:
        yield item

    (event,) = ProgressStream(tool)
    assert (event.progress, event.status, event.data) == wanted
    assert only().status is Status.COMPLETED


def test_shown_progress_does_not_fall() -> None:
    @progress
    def tool() -> Iterator[dict[str, float]]:
        for value in (0.2, 0.8, 0.4, 0.9):
            yield {"progress": value}

    assert [event.progress for event in ProgressStream(tool)] == [0.2, 0.8, 0.8, 0.9]


def test_nested_calls_roll_up_by_themselves() -> None:
    shown: list[float | None] = []

    @progress
    def part() -> Iterator[dict[str, float]]:
        for index in range(2):
            yield {"progress": (index + 1) / 2}
            shown.append(named("whole").progress)

    @progress(expect_children=lambda items: len(items))
    def whole(items: list[str]) -> Iterator[dict[str, str]]:
        for item in items:
            yield {"status": item}
            part()

    whole(["a", "b"])
    assert shown == [0.25, 0.5, 0.75, 1.0]
    assert {operation.parent_id for operation in get_progress_registry().operations() if operation.name == "part"} == {
        named("whole").operation_id
    }


def test_an_async_generator_becomes_a_coroutine_function() -> None:
    @progress
    async def tool(count: int) -> AsyncIterator[dict[str, object]]:
        """Counts."""
        for index in range(count):
            await asyncio.sleep(0)
            yield {"progress": index / count}
        yield {"result": ["kept", count]}

    assert inspect.iscoroutinefunction(tool)
    assert asyncio.run(tool(2)) == ["kept", 2]
    assert only().status is Status.COMPLETED
    assert only().metadata is None


@pytest.mark.parametrize("is_async", [False, True])
def test_a_function_that_yields_nothing_is_tracked_too(is_async: bool) -> None:
    if is_async:

        @progress
        async def work() -> int:
            return 3

        assert asyncio.run(work()) == 3
    else:

        @progress(name="work")
        def plain() -> int:
            return 3

        assert plain() == 3
    assert (only().name, only().operation_type) == ("work", "tool")


def test_methods_can_be_streamed() -> None:
    class Copier:
        def __init__(self) -> None:
            self.done = 0

        @progress
        def run(self, count: int) -> Iterator[dict[str, float]]:
            for index in range(count):
                self.done += 1
                yield {"progress": (index + 1) / count}
            return self.done

    stream = ProgressStream(Copier().run, 4)
    assert len(list(stream)) == 4
    assert stream.result == 4


def test_the_tracker_is_current_inside() -> None:
    @progress
    def tool() -> Iterator[None]:
        get_progress_tracker().enter_stage("reading")
        yield

    tool()
    assert only().stage == "reading"


def test_it_is_a_child_of_the_code_that_calls_it() -> None:
    @track_progress
    def outer() -> None:
        copy_files(["a"])

    outer()
    assert named("copy_files").parent_id == named("outer").operation_id
