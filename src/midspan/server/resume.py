"""Where a reader that comes back goes on: what its last event id means, and what it has missed since."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice

from midspan.core.operation import Operation, Status
from midspan.core.registry import Registry
from midspan.core.selection import Selection, newest
from midspan.core.state import HISTORY_LIMIT
from midspan.server.changes import as_it_was, entered_stages
from midspan.server.problem import Problem
from midspan.server.reader import Wanted
from midspan.server.tokens import Access

MAX_ROWS = 500
MARGIN_SECONDS = 2.0
"""An update is told up to a second after it was made, so a reader may have heard of a later one before."""

_EVENT_ID = re.compile(r"(?P<epoch>[0-9]{1,24})-(?P<place>[0-9]{1,16})")
_LIVE = frozenset({Status.PENDING, Status.RUNNING})


@dataclass(frozen=True, slots=True)
class EventId:
    """`<epoch>-<place>`: of one operation its epoch and sequence; of many the hub's epoch and the time in ms."""

    epoch: int
    place: int

    def __str__(self) -> str:
        return f"{self.epoch}-{self.place}"

    @classmethod
    def of(cls, operation: Operation) -> EventId:
        """The id of an operation's newest event on a stream of its own."""
        return cls(operation.epoch, operation.sequence)

    @classmethod
    def among(cls, operation: Operation, epoch: int) -> EventId:
        """The id of an operation's newest event on a stream of many, that of the hub with this epoch."""
        return cls(epoch, int(operation.updated_at * 1000))

    @classmethod
    def read(cls, text: str) -> EventId | None:
        """The id, or None for text that is none."""
        found = _EVENT_ID.fullmatch(text)
        return None if found is None else cls(int(found["epoch"]), int(found["place"]))


def resume_one(operation: Operation, last: EventId) -> tuple[Operation, ...] | None:
    """What a reader of one operation has missed since `last`: each stage that was entered, and the state it is in.

    None where that cannot be known any more.
    """
    if last.epoch != operation.epoch or last.place > operation.sequence or _is_trimmed(operation, last.place):
        return None
    if last.place == operation.sequence:
        return ()
    stages = [as_it_was(operation, event) for event in entered_stages(operation, last.place)]
    return (*(stage for stage in stages if stage.sequence < operation.sequence), operation)


def _is_trimmed(operation: Operation, after: int) -> bool:
    """True when the history is full and begins later than that."""
    history = operation.history
    return len(history) >= HISTORY_LIMIT and history[0].sequence > after + 1


@dataclass(frozen=True, slots=True)
class Beginning:
    """What a reader of many is shown first: what it has missed (`is_resumed`), or a snapshot.

    `is_reset`: it had been told of something, and what it has missed cannot be known any more. `is_complete`: no
    operation was left out of the snapshot.
    """

    operations: Sequence[Operation]
    event_id: EventId
    is_resumed: bool = False
    is_reset: bool = False
    is_complete: bool = True


def beginning_of_many(
    registry: Registry, wanted: Selection, access: Access, last: EventId | None, epoch: int
) -> Beginning:
    """How a stream of what is `wanted` begins for a reader whose last event id was `last`. Looks at every operation."""
    now = EventId(epoch, int(registry.clock() * 1000))
    missed = None if last is None or last.epoch != epoch else _missed(registry, wanted, last.place / 1000)
    if missed is not None:
        return Beginning(list(filter(access.may_see, missed)), now, is_resumed=True)
    rows, is_complete = _snapshot(registry, wanted, access)
    return Beginning(rows, now, is_reset=last is not None, is_complete=is_complete)


def _missed(registry: Registry, wanted: Selection, told_until: float) -> list[Operation] | None:
    """What has changed since, oldest change first; None where that is not known any more, or too much.

    What runs and is stalled is told again: stalling is no update, and does not show in the time of the last one.
    """
    since = told_until - MARGIN_SECONDS
    if since < registry.retention.evicted_until:
        return None
    # Whatever its status: what has left those that are wanted is told too.
    changed = newest(registry, replace(wanted, statuses=None, updated_since=since))
    stalled = (each for each in newest(registry, _live(wanted)) if each.stalled)
    found = {each.operation_id: each for each in islice(chain(changed, stalled), MAX_ROWS + 1)}
    if len(found) > MAX_ROWS:
        return None
    return sorted(found.values(), key=lambda operation: operation.updated_at)


def _snapshot(registry: Registry, wanted: Selection, access: Access) -> tuple[list[Operation], bool]:
    """What is wanted, newest first, at most 500; and whether that is all.

    Those that run; ended ones too where certain operations were asked for by `ids`, `root` or `parent`.
    """
    certain = wanted.ids is not None or wanted.root is not None or wanted.parent is not None
    found = filter(access.may_see, newest(registry, wanted if certain else _live(wanted)))
    rows = list(islice(found, MAX_ROWS + 1))
    return rows[:MAX_ROWS], len(rows) <= MAX_ROWS


def _live(wanted: Selection) -> Selection:
    statuses = _LIVE if wanted.statuses is None else _LIVE & wanted.statuses
    return replace(wanted, statuses=frozenset(statuses))


def wanted_by(wanted: Selection, access: Access) -> Wanted | None:
    """What a reader with this access is told of; None: everything."""
    if access.sees_all:
        return None if wanted.is_everything else wanted.matches
    return lambda operation: access.may_see(operation) and wanted.matches(operation)


def read_event_id(text: str | None, parameter: str) -> EventId | None:
    """The event id that a query parameter gives. Raises Problem (400) for text that is none."""
    found = None if text is None else EventId.read(text)
    if text is not None and found is None:
        detail = f"{text!r} is no event id; accepted: the id of the last event that was received"
        raise Problem(400, "bad-parameter", detail, parameter=parameter)
    return found
