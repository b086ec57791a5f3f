"""The tools of `/mcp` (seed S1's four, and three more): what each is called, takes and answers. Knows no SDK."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import msgspec
from starlette.concurrency import run_in_threadpool

from midspan.core.operation import Operation
from midspan.core.selection import Selection, newest
from midspan.core.wire import to_dict
from midspan.server.dialects.long_tasks import failure, progress_data, success
from midspan.server.hub import Hub
from midspan.server.mcp import arguments as take
from midspan.server.mcp.following import Report, follow
from midspan.server.paging import page, read_cursor
from midspan.server.problem import Problem
from midspan.server.statistics import summary
from midspan.server.tasks import start_task
from midspan.server.tokens import Access
from midspan.server.visible import found
from midspan.tracking.cancelling import CancelOutcome, request_cancel
from midspan.tracking.tasks import Tasks
from midspan.tracking.tracker import ProgressRegistry

JsonObject = dict[str, Any]


class Call(NamedTuple):
    """Who calls a tool, and how it may be told of progress meanwhile, if it wants to."""

    access: Access
    report: Report | None = None


class Tool(NamedTuple):
    """A tool by its name; `run` gets the arguments as `takes` describes them."""

    name: str
    description: str
    takes: type[msgspec.Struct]
    run: Callable[[Any, Call], Awaitable[JsonObject]]
    writes: bool = False
    destroys: bool = False


class Tools:
    """The tools over one registry, its hub and its tasks."""

    def __init__(self, registry: ProgressRegistry, hub: Hub, tasks: Tasks) -> None:
        self.registry, self.hub, self.tasks = registry, hub, tasks

    def all(self) -> list[Tool]:
        """Every tool; the description of the first says which tasks there are."""
        return [
            Tool("start_long_task", self._tasks_told(), take.StartLongTask, self._start, writes=True),
            Tool("get_task_progress", "How far an operation is.", take.OneOperation, self._progress),
            Tool(
                "get_task_result",
                "What an operation has come to (output), or its error.",
                take.OneOperation,
                self._progress,
            ),
            Tool(
                "cancel_task",
                "Ask an operation to stop. It stops eventually, or completes all the same: its status tells.",
                take.CancelTask,
                self._cancel,
                writes=True,
                destroys=True,
            ),
            Tool("list_operations", "Operations that run or have run, newest first.", take.ListOperations, self._list),
            Tool(
                "wait_for_operation",
                "Wait until an operation has ended, or has changed: better than asking again and again.",
                take.WaitForOperation,
                self._wait,
            ),
            Tool("get_statistics", "Counts, success rate and durations.", take.GetStatistics, self._statistics),
        ]

    async def call(self, name: str, given: object, call: Call) -> tuple[JsonObject, bool]:
        """Run a tool: its envelope (seed S1-18), and whether it is an error's."""
        tool = next((each for each in self.all() if each.name == name), None)
        try:
            if tool is None:
                raise Problem(404, "tool-not-found", f"there is no tool {name!r}")
            if tool.writes and not call.access.may("write"):
                raise Problem(403, "scope-needed", "the token lacks the scope 'write'")
            return success(await tool.run(take.read(given, tool.takes), call)), False
        except Problem as problem:
            return failure(problem.detail), True
        except take.ToolArgumentError as error:
            return failure(f"bad arguments for {name}: {error}"), True

    def find(self, operation_id: str, access: Access) -> Operation:
        """An operation that may be seen. Raises Problem (404)."""
        return found(self.registry, operation_id, access)

    def newest(self, access: Access, wanted: Selection, limit: int, cursor: str | None = None) -> JsonObject:
        """A page of operations that may be seen, and the cursor of the next."""
        after = None if cursor is None else read_cursor(cursor)
        rows, following = page(filter(access.may_see, newest(self.registry, wanted, after)), limit)
        return {"operations": [outline(each) for each in rows], "next_cursor": following}

    def begin(self, asked: take.StartLongTask, access: Access) -> Operation:
        """Start a task. Raises Problem."""
        given = dict(asked.arguments)
        hints = {"duration_seconds": asked.duration_seconds, "steps": asked.steps}
        task = next((each for each in self.tasks.all() if each.name == asked.task_type), None)
        if task is not None:
            given |= {name: hint for name, hint in hints.items() if hint is not None and task.parameters.takes(name)}
        return self.find(
            start_task(self.tasks, asked.task_type, given, asked.idempotency_key, access.principal), access
        )

    async def _start(self, asked: take.StartLongTask, call: Call) -> JsonObject:
        started = self.begin(asked, call.access)
        if call.report is not None:
            started = await self._follow(started.operation_id, call, lambda _: False)
        return {**progress_data(started), "task_type": asked.task_type}

    async def _progress(self, asked: take.OneOperation, call: Call) -> JsonObject:
        return progress_data(self.find(asked.operation_id, call.access))

    async def _cancel(self, asked: take.CancelTask, call: Call) -> JsonObject:
        self.find(asked.operation_id, call.access)
        outcome = request_cancel(self.registry, asked.operation_id, asked.reason)
        if outcome is CancelOutcome.UNSUPPORTED:
            raise Problem(409, "cancel-not-supported", f"operation {asked.operation_id!r} cannot be cancelled")
        return {**progress_data(self.find(asked.operation_id, call.access)), "cancel": str(outcome)}

    async def _list(self, asked: take.ListOperations, call: Call) -> JsonObject:
        wanted = Selection(
            statuses=None if asked.status is None else frozenset(asked.status),
            types=None if asked.type is None else frozenset(asked.type),
            text=asked.q,
        )
        return await run_in_threadpool(self.newest, call.access, wanted, asked.limit, asked.cursor)

    async def _wait(self, asked: take.WaitForOperation, call: Call) -> JsonObject:
        after = asked.after_seq

        def is_new(operation: Operation) -> bool:
            return after is not None and operation.sequence > after

        operation = await self._follow(asked.operation_id, call, is_new, asked.timeout_s)
        timed_out = not (operation.is_terminal or is_new(operation))
        return {**progress_data(operation), "sequence": operation.sequence, "timed_out": timed_out}

    async def _follow(
        self, operation_id: str, call: Call, until: Callable[[Operation], bool], within: float | None = None
    ) -> Operation:
        return await follow(
            self.hub,
            operation_id,
            lambda: self.find(operation_id, call.access),
            principal=call.access.principal,
            within=within,
            until=until,
            report=call.report,
        )

    async def _statistics(self, asked: take.GetStatistics, call: Call) -> JsonObject:
        sees = None if call.access.sees_all else call.access.may_see
        return msgspec.to_builtins(await run_in_threadpool(summary, self.registry, asked.window_s, sees))

    def _tasks_told(self) -> str:
        told = [
            f"- {task.name}{_signature(task.parameters.schema())}: {_first_line(task.function.__doc__)}"
            for task in self.tasks.all()
        ]
        there_are = "\n".join(told) or "(none is registered)"
        return (
            "Start a task that may take long, and get its operation_id at once. With a progress token the answer comes "
            f"when it has ended, with its progress meanwhile. The tasks, as task_type:\n{there_are}"
        )


def outline(operation: Operation) -> JsonObject:
    """What a list says of an operation: what is known of it, without its history."""
    row = to_dict(operation)
    return {name: value for name, value in row.items() if value not in (None, (), []) and name != "history"}


def _signature(schema: JsonObject) -> str:
    needed = schema["required"]
    names = [
        name if name in needed else f"{name}={part.get('default')!r}" for name, part in schema["properties"].items()
    ]
    return f"({', '.join(names)})"


def _first_line(doc: str | None) -> str:
    return (doc or "no description").strip().splitlines()[0]
