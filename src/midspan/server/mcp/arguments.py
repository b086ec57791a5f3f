"""What each MCP tool takes: the types of its arguments, from which its JSON schema is made."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from midspan.core.text import MAX_MESSAGE
from midspan.server.parameters import STATUSES

T = TypeVar("T", bound=msgspec.Struct)

MAX_ROWS = 100
MAX_WAIT_SECONDS = 300

Id = Annotated[str, Meta(max_length=128, description="operation_id, as start_long_task and list_operations give it")]
StatusName = Annotated[str, Meta(pattern=f"^({'|'.join(STATUSES)})$")]


class ToolArgumentError(ValueError):
    """Arguments do not fit the tool; the message names which."""


class StartLongTask(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Seed S1-17. `duration_seconds` and `steps` are arguments of the task that takes them, and else ignored."""

    task_type: Annotated[str, Meta(max_length=128, description="name of the task")]
    duration_seconds: Annotated[float, Meta(ge=0, description="estimated duration, for tasks that take it")] | None = (
        None
    )
    steps: Annotated[int, Meta(ge=0, description="number of steps, for tasks that take it")] | None = None
    arguments: Annotated[dict[str, Any], Meta(description="the task's arguments by name")] = msgspec.field(
        default_factory=dict[str, Any]
    )
    idempotency_key: (
        Annotated[
            str, Meta(min_length=1, max_length=255, description="the same key and arguments give the same operation")
        ]
        | None
    ) = None


class OneOperation(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Seed S1-18 and S1-19."""

    operation_id: Id


class CancelTask(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Seed S1-20."""

    operation_id: Id
    reason: Annotated[str, Meta(max_length=MAX_MESSAGE)] | None = None


class ListOperations(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Filters, each of which may be left out."""

    status: Annotated[list[StatusName], Meta(description="lifecycle statuses")] | None = None
    type: Annotated[list[str], Meta(description="operation types, such as llm_request")] | None = None
    q: Annotated[str, Meta(max_length=128, description="text in the id, name, message, model or error")] | None = None
    limit: Annotated[int, Meta(ge=1, le=MAX_ROWS)] = 20
    cursor: Annotated[str, Meta(description="next_cursor of the page before")] | None = None


class WaitForOperation(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Waiting instead of asking again and again."""

    operation_id: Id
    timeout_s: Annotated[float, Meta(ge=0, le=MAX_WAIT_SECONDS, description="answer after that many seconds")] = 30.0
    after_seq: (
        Annotated[int, Meta(ge=0, description="answer once `sequence` is beyond this; else once it has ended")] | None
    ) = None


class GetStatistics(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Over which time."""

    window_s: Annotated[float, Meta(gt=0, description="only operations that ended within so many seconds")] | None = (
        None
    )


def schema_of(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """The JSON schema of a tool's arguments: an object at its root, as the protocol wants it."""
    (_,), components = msgspec.json.schema_components([kind], ref_template="#/$defs/{name}")
    schema = components.pop(kind.__name__)
    schema.pop("title", None)
    schema.pop("description", None)
    return {**schema, "$defs": components} if components else schema


def read(given: object, kind: type[T]) -> T:
    """The arguments as `kind`. Raises ToolArgumentError."""
    try:
        return msgspec.convert(given, kind)
    except msgspec.ValidationError as error:
        raise ToolArgumentError(str(error).replace("at `$.", "at `")) from None
