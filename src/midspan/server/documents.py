"""The documents that routes answer with, beside operations themselves: what OpenAPI shows of them."""

from __future__ import annotations

from typing import Any

import msgspec

from midspan.core.operation import Event, Operation
from midspan.server.tree import RollUp


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Operations, newest first. `next_cursor` is None on the last page."""

    operations: list[Operation]
    next_cursor: str | None


class Events(msgspec.Struct, frozen=True, kw_only=True):
    """Events of one operation. From the sequence `oldest_seq` on none is missing; 0: none ever was."""

    operation_id: str
    events: list[Event]
    oldest_seq: int


class Node(Operation, frozen=True, kw_only=True):
    """An operation with what is below it."""

    rollup: RollUp
    children: list[Node]


class Tree(msgspec.Struct, frozen=True, kw_only=True):
    """An operation with everything below it, but for `hidden` operations: beyond 1,000, or deeper than 32."""

    tree: Node
    hidden: int


class ProblemDocument(msgspec.Struct, frozen=True, kw_only=True):
    """Why a request was refused (RFC 9457). `parameter` and `accepted` are of a 400, `errors` of a 422."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    parameter: str | msgspec.UnsetType = msgspec.UNSET
    accepted: list[str] | msgspec.UnsetType = msgspec.UNSET
    errors: list[dict[str, Any]] | msgspec.UnsetType = msgspec.UNSET
