"""`ProgressEvent`: one report of progress, as streams and callbacks get it; and how a yielded value is read as one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import msgspec

from midspan.core import estimate, failures, transitions
from midspan.core.operation import Operation
from midspan.core.wire import rfc3339
from midspan.tracking.tracker import ProgressTracker

JsonObject = dict[str, Any]
RESULT = "result"


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class ProgressEvent:
    """One report of progress (seed S4-10 to S4-15).

    `progress` is from 0 to 1, and the last one known (0.0 at first) where a report names none. `type` is `progress`, or
    `result` for the last event of an agent's stream, whose `data` is then the result itself. `operation` is the
    snapshot that an event was read from, where there was one.
    """

    progress: float
    status: str | None = None
    data: Any = field(default_factory=dict[str, Any])
    timestamp: datetime = field(default_factory=_now)
    type: str = "progress"
    operation: Operation | None = field(default=None, repr=False, compare=False)

    @classmethod
    def of(cls, operation: Operation) -> ProgressEvent:
        """The event that a snapshot amounts to: its metadata is the data, with its name, id and stage."""
        data = {**(operation.metadata or {}), "operation_id": operation.operation_id, "name": operation.name}
        if operation.stage is not None:
            data["stage"] = operation.stage
        at = datetime.fromtimestamp(operation.updated_at, UTC)
        return cls(operation.progress or 0.0, operation.message, data, at, operation=operation)

    def dict(self) -> JsonObject:
        """Plain JSON values; the timestamp is RFC 3339, and what is no JSON in `data` is its repr."""
        return {
            "type": self.type,
            "progress": self.progress,
            "status": self.status,
            "data": _plain(self.data),
            "timestamp": rfc3339(self.timestamp.timestamp()),
        }


def _plain(value: object) -> object:
    return msgspec.json.decode(msgspec.json.encode(_with_text_keys(value), enc_hook=repr))


def _with_text_keys(value: object) -> object:
    """Mappings with keys that JSON has no form for get textual ones."""
    if isinstance(value, Mapping):
        pairs = cast("Mapping[object, object]", value).items()
        return {str(key): _with_text_keys(item) for key, item in pairs}
    if isinstance(value, (list, tuple)):
        return [_with_text_keys(item) for item in cast("list[object]", value)]
    return value


class Reporter:
    """Writes what a `@progress` generator yields to its tracker, and makes events of it."""

    __slots__ = ("_shown", "_tracker")

    def __init__(self, tracker: ProgressTracker) -> None:
        self._tracker = tracker
        self._shown = 0.0

    def __call__(self, item: object) -> ProgressEvent:
        """The event of one yielded value: a dict, None, or anything else, which is then its status."""
        status, data = None, dict[str, Any]()
        try:
            fraction, status, data = _parts(item)
            if fraction is not None:
                self._shown = max(self._shown, min(1.0, max(0.0, fraction)))
            self._write(fraction, status, data)
        except Exception:
            failures.report("progress")
            # What was yielded may hold the caller's result.
            data = cast("dict[str, Any]", item) if isinstance(item, dict) else {}
        return ProgressEvent(self._shown, status, data)

    def _write(self, fraction: float | None, status: str | None, data: Mapping[str, Any]) -> None:
        # A result is content: it is the caller's, and not kept.
        kept = {key: value for key, value in data.items() if key != RESULT}
        self._tracker.apply(lambda state, now: transitions.update(state, now, None, status, fraction, kept))
        known, _ = estimate.progress(self._tracker.state)
        self._shown = max(self._shown, known or 0.0)


def _parts(item: object) -> tuple[float | None, str | None, dict[str, Any]]:
    """(fraction, status, data) of a yielded value; a progress that is no number is left out."""
    if item is None:
        return None, None, {}
    if not isinstance(item, Mapping):
        return None, str(item), {}
    data = {str(key): value for key, value in cast("Mapping[object, Any]", item).items()}
    status = data.pop("status", None)
    return _fraction(data.pop("progress", None)), None if status is None else str(status), data


def _fraction(value: object) -> float | None:
    convert = getattr(value, "__float__", None)
    fraction = None if convert is None else float(convert())
    return None if fraction is None or fraction != fraction else fraction
