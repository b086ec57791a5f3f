"""Operations as the native streams show them, each change encoded once however many readers it goes to."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from midspan.core.operation import Operation
from midspan.core.wire import encode
from midspan.server.answers import Row, row
from midspan.server.resume import EventId
from midspan.server.sse import frame

MAX_KEPT = 4096
MAX_KEPT_BYTES = 8 * 1024 * 1024
"""An ending has its result in it: thousands of the largest would be hundreds of megabytes."""
MAX_SNAPSHOT_BYTES = 64 * 1024


class Rows:
    """`whole` is the row of the resource API; `lean` is without its `history`, which has an address of its own."""

    def __init__(self, row: Row = row) -> None:
        self.whole = row
        self._kept: OrderedDict[tuple[str, int, int, int], bytes] = OrderedDict()
        self._size = 0

    def lean(self, operation: Operation) -> dict[str, Any]:
        """The row without the history."""
        row = self.whole(msgspec.structs.replace(operation, history=()))
        del row["history"]
        return row

    def snapshot(self, operations: Sequence[Operation]) -> tuple[list[msgspec.Raw], Sequence[Operation]]:
        """The first rows, as many as fit into one message of about 64 KiB; and the operations that are left.

        These are told as changes after it: a reader may refuse a message that is too large.
        """
        found: list[msgspec.Raw] = []
        size = 0
        for operation in operations:
            found.append(msgspec.Raw(encode(self.lean(operation))))
            size += len(found[-1])
            if size >= MAX_SNAPSHOT_BYTES:
                break
        return found, operations[len(found) :]

    def encoded(self, operation: Operation) -> bytes:
        """A change as JSON: lean, or whole when it is the ending."""
        row = self.whole if operation.is_terminal else self.lean
        return self._once(operation, 0, lambda: encode(row(operation)))

    def framed(self, operation: Operation, event_id: EventId) -> bytes:
        """A change as an event: `update`, or `end`."""
        kind = kind_of(operation)
        return self._once(
            operation, event_id.epoch, lambda: frame(self.encoded(operation), event=kind, id=str(event_id))
        )

    def _once(self, operation: Operation, form: int, make: Callable[[], bytes]) -> bytes:
        key = operation.operation_id, operation.epoch, operation.sequence, form
        found = self._kept.get(key)
        if found is None:
            found = self._kept[key] = make()
            self._size += len(found)
            self._make_room()
        return found

    def _make_room(self) -> None:
        while self._kept and (len(self._kept) > MAX_KEPT or self._size > MAX_KEPT_BYTES):
            _, oldest = self._kept.popitem(last=False)
            self._size -= len(oldest)


def kind_of(operation: Operation) -> str:
    """The event that tells of a change: `update` or `end`."""
    return "end" if operation.is_terminal else "update"
