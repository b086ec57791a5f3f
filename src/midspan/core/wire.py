"""Operation → JSON, the one encoder of every surface; and → compact bytes, as ended operations are kept.

In JSON times are RFC 3339 with milliseconds and `Z`, durations are `*_seconds`, and unknown is an explicit null.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any, TypeVar

import msgspec

from midspan.core.operation import Event, Operation, Status, Tokens

_Kind = TypeVar("_Kind")
_TIMES = tuple(name for name in Operation.__struct_fields__ if name.endswith("_at"))
_PARTS = ("counts", "tokens", "error", "estimate", "owner")


class Head(msgspec.Struct, frozen=True, gc=False):
    """What a list is filtered by: reading this much of a kept operation takes a tenth of reading it whole."""

    operation_id: str
    operation_type: str
    name: str
    status: Status
    created_at: float
    updated_at: float
    ended_at: float | None = None
    provider: str | None = None
    model: str | None = None
    parent_id: str | None = None
    root_id: str | None = None


class Mark(msgspec.Struct, frozen=True, gc=False):
    """Of an event, what its times are read from."""

    type: str
    at: float
    stage: str | None = None


class Figures(msgspec.Struct, frozen=True):
    """What statistics are made from: reading this much of a kept operation takes a third of reading it whole."""

    operation_type: str
    name: str
    status: Status
    provider: str | None = None
    model: str | None = None
    elapsed_seconds: float = 0.0
    time_to_first_chunk: float | None = None
    tokens_per_second: float | None = None
    tokens: Tokens | None = None
    history: tuple[Mark, ...] = ()


_to_json = msgspec.json.Encoder(enc_hook=repr)
_packer = msgspec.msgpack.Encoder(enc_hook=repr)


@cache  # each looks through its class: a millisecond, for which an application that starts need not wait
def _unpacker(kind: type[_Kind]) -> msgspec.msgpack.Decoder[_Kind]:
    return msgspec.msgpack.Decoder(kind)


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


def pack(operation: Operation | Mapping[str, Any]) -> bytes:
    """The compact form for keeping: an operation without its defaults, or its fields. `unpack` gives it back."""
    # A copy, because msgspec's own bytes occupy the whole buffer that they have grown in, half as much again.
    return bytes(memoryview(_packer.encode(operation)))


def unpack(kept: bytes) -> Operation:
    """The operation that `pack` was given."""
    return _unpacker(Operation).decode(kept)


def unpack_head(kept: bytes) -> Head:
    """The head of the operation that `pack` was given."""
    return _unpacker(Head).decode(kept)


def unpack_figures(kept: bytes) -> Figures:
    """The figures of the operation that `pack` was given."""
    return _unpacker(Figures).decode(kept)
