"""Operation → JSON, the one encoder of every surface; and → compact bytes, as ended operations are kept.

In JSON times are RFC 3339 with milliseconds and `Z`, durations are `*_seconds`, and unknown is an explicit null.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from midspan.core.operation import Event, Operation

_TIMES = tuple(name for name in Operation.__struct_fields__ if name.endswith("_at"))
_PARTS = ("counts", "tokens", "error", "estimate", "owner")

_to_json = msgspec.json.Encoder(enc_hook=repr)
_packer = msgspec.msgpack.Encoder(enc_hook=repr)
_unpacker = msgspec.msgpack.Decoder(Operation)


def rfc3339(at: float | None) -> str | None:
    """Unix seconds as `2026-11-21T10:00:00.123Z`."""
    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def to_dict(operation: Operation) -> dict[str, Any]:
    """The operation as plain values, every field of design section 4 present, plus `percent_complete`."""
    row = msgspec.structs.asdict(operation)
    for name in _TIMES:
        row[name] = rfc3339(row[name])
    for name in _PARTS:
        part = row[name]
        row[name] = None if part is None else msgspec.structs.asdict(part)
    cancel = operation.cancel
    row["cancel"] = {"mode": cancel.mode, "requested_at": rfc3339(cancel.requested_at)}
    row["history"] = [_event(event) for event in operation.history]
    row["percent_complete"] = operation.percent_complete
    return row


def _event(event: Event) -> dict[str, Any]:
    row = msgspec.structs.asdict(event)
    row["at"] = rfc3339(event.at)
    return row


def encode(value: object) -> bytes:
    """JSON bytes (UTF-8, not escaped) of plain values or of an `Operation`."""
    return _to_json.encode(to_dict(value) if isinstance(value, Operation) else value)


def pack(operation: Operation) -> bytes:
    """The compact form for keeping: defaults left out. `unpack` gives the same operation back."""
    return _packer.encode(operation)


def unpack(kept: bytes) -> Operation:
    """The operation that `pack` was given."""
    return _unpacker.decode(kept)
