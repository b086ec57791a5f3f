"""Which operations a reader wants, and the newest of them first, without decoding those that it does not want."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Protocol

from midspan.core.operation import Operation, Status
from midspan.core.registry import Registry
from midspan.core.retention import Retention
from midspan.core.snapshot import snapshot
from midspan.core.state import State

Position = tuple[float, str]
"""(created_at, operation_id): unique, and the same for an operation's whole life."""


class Outline(Protocol):
    """What an `Operation`, a live `State` and the `Head` of a kept operation have in common."""

    @property
    def operation_id(self) -> str: ...
    @property
    def operation_type(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def status(self) -> Status: ...
    @property
    def provider(self) -> str | None: ...
    @property
    def model(self) -> str | None: ...
    @property
    def parent_id(self) -> str | None: ...
    @property
    def root_id(self) -> str | None: ...
    @property
    def updated_at(self) -> float: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What a reader wants: operations that match every given field; None: not filtered by that.

    `owner` is the service, instance, host or principal of the process that runs it. `text` is looked for without regard
    to case. `updated_since` is in Unix seconds.
    """

    ids: frozenset[str] | None = None
    statuses: frozenset[str] | None = None
    types: frozenset[str] | None = None
    names: frozenset[str] | None = None
    providers: frozenset[str] | None = None
    models: frozenset[str] | None = None
    parent: str | None = None
    root: str | None = None
    owner: str | None = None
    text: str | None = None
    updated_since: float | None = None

    @property
    def is_everything(self) -> bool:
        """True when no field is given."""
        return all(getattr(self, field.name) is None for field in fields(self))

    def matches(self, operation: Operation) -> bool:
        """Whether the reader wants this operation."""
        return self.may_match(operation) and self._owned(operation) and self._says(operation)

    def may_match(self, outline: Outline) -> bool:
        """False when what is known without decoding rules the operation out."""
        return (
            _among(self.ids, outline.operation_id)
            and _among(self.statuses, outline.status)
            and _among(self.types, outline.operation_type)
            and _among(self.names, outline.name)
            and _among(self.providers, outline.provider)
            and _among(self.models, outline.model)
            and self.parent in (None, outline.parent_id)
            and self.root in (None, outline.root_id)
            and (self.updated_since is None or outline.updated_at >= self.updated_since)
        )

    def _owned(self, operation: Operation) -> bool:
        owner = operation.owner
        if self.owner is None or owner is None:
            return self.owner is None
        return self.owner in (owner.service, owner.instance, owner.host, owner.principal)

    def _says(self, operation: Operation) -> bool:
        if self.text is None:
            return True
        wanted = self.text.casefold()
        return any(wanted in said.casefold() for said in _texts(operation) if said)


EVERYTHING = Selection()


def _among(wanted: frozenset[str] | None, value: str | None) -> bool:
    return wanted is None or value in wanted


def _texts(operation: Operation) -> tuple[str | None, ...]:
    error = operation.error
    return (
        operation.operation_id,
        operation.operation_type,
        operation.name,
        operation.stage,
        operation.message,
        operation.provider,
        operation.model,
        error.type if error else None,
        error.message if error else None,
    )


def position(operation: Operation) -> Position:
    """Where an operation stands in the order."""
    return operation.created_at, operation.operation_id


def newest(registry: Registry, wanted: Selection = EVERYTHING, after: Position | None = None) -> Iterator[Operation]:
    """Running and ended operations, newest first, from the next one beyond `after` on.

    Each is read when it is asked for: one that is forgotten meanwhile is left out, one that starts later too.
    """
    live, kept, positions = _ordered(registry)
    whole = wanted.is_everything
    end = len(positions) if after is None else bisect_left(positions, after)
    for index in range(end - 1, -1, -1):
        operation_id = positions[index][1]
        state = live.get(operation_id)
        outline: Outline | None = kept.head(operation_id) if state is None and not whole else state
        if outline is not None and not wanted.may_match(outline):
            continue
        found = kept.get(operation_id) if state is None else snapshot(state, registry.clock(), registry.owner)
        if found is not None and wanted.matches(found):
            yield found


def outlines(registry: Registry) -> Iterator[Outline]:
    """What is known of each operation without reading it whole, oldest first."""
    live, kept, positions = _ordered(registry)
    for _, operation_id in positions:
        outline = live.get(operation_id) or kept.head(operation_id)
        if outline is not None:
            yield outline


def _ordered(registry: Registry) -> tuple[dict[str, State], Retention, list[Position]]:
    """What runs, what is kept, and where each of both stands, oldest first."""
    registry.reap()
    # In this order: what ends between the two is found in both, and in neither the other way round.
    live = {state.operation_id: state for state in registry.running()}
    kept = registry.retention
    positions = [(state.created_at, state.operation_id) for state in live.values()]
    positions += [each for each in kept.positions() if each[1] not in live]
    return live, kept, sorted(positions)
