"""An operation with everything below it: nested, with sums over what is below."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import msgspec

from midspan.core.operation import Operation, Status
from midspan.core.registry import Registry
from midspan.core.selection import outlines
from midspan.server.answers import Row
from midspan.server.statistics import Sees
from midspan.server.tally import TokenSums

MAX_SHOWN = 1000
MAX_DEPTH = 32


class RollUp(msgspec.Struct, frozen=True, kw_only=True):
    """Sums over an operation and everything below it, shown or not."""

    operations: int
    statuses: dict[str, int]
    stalled: int
    tokens: TokenSums


@dataclass(slots=True)
class _Node:
    operation: Operation
    depth: int
    children: list[_Node] = field(default_factory=list["_Node"])
    count: int = 1
    stalled: int = 0
    statuses: Counter[str] = field(default_factory=Counter[str])
    tokens: Counter[str] = field(default_factory=Counter[str])

    def count_own(self) -> None:
        self.stalled += self.operation.stalled
        self.statuses[self.operation.status] += 1
        tokens = self.operation.tokens
        if tokens is not None:
            self.tokens["input"] += tokens.input or 0
            self.tokens["output"] += tokens.output or 0

    def add(self, child: _Node) -> None:
        self.count += child.count
        self.stalled += child.stalled
        self.statuses.update(child.statuses)
        self.tokens.update(child.tokens)

    def document(self, row: Row) -> dict[str, Any]:
        sums = RollUp(
            operations=self.count,
            statuses={status.value: self.statuses[status] for status in Status},
            stalled=self.stalled,
            tokens=TokenSums(input=self.tokens["input"], output=self.tokens["output"]),
        )
        return {**row(self.operation), "rollup": sums}


def tree(registry: Registry, root: Operation, sees: Sees, row: Row) -> dict[str, Any]:
    """`root` as the nested document, and how many operations below it are not shown: beyond 1,000, or 32 levels."""
    nodes = _walk(registry, root, sees)
    for node in reversed(nodes):
        node.count_own()
        for child in node.children:
            node.add(child)
    shown = {id(node): node.document(row) for node in nodes[:MAX_SHOWN] if node.depth < MAX_DEPTH}
    for node in nodes:
        if id(node) in shown:
            shown[id(node)]["children"] = [shown[id(child)] for child in node.children if id(child) in shown]
    return {"tree": shown[id(nodes[0])], "hidden": len(nodes) - len(shown)}


def _walk(registry: Registry, root: Operation, sees: Sees) -> list[_Node]:
    """Breadth first. Parents are only named, so two may name each other: each is there once."""
    by_parent = _by_parent(registry)
    nodes, seen = [_Node(root, 0)], {root.operation_id}
    for node in nodes:
        for operation_id in by_parent.get(node.operation.operation_id, ()):
            child = registry.get(operation_id) if operation_id not in seen else None
            seen.add(operation_id)
            if child is not None and sees(child):
                node.children.append(_Node(child, node.depth + 1))
        nodes.extend(node.children)
    return nodes


def _by_parent(registry: Registry) -> dict[str, list[str]]:
    """The ids of operations by the id of their parent, oldest first."""
    found: dict[str, list[str]] = {}
    for outline in outlines(registry):
        if outline.parent_id is not None:
            found.setdefault(outline.parent_id, []).append(outline.operation_id)
    return found
