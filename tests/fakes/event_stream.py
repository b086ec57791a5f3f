"""AWS's event streams, as bytes: the framing of Bedrock's streamed answers."""

from __future__ import annotations

import json
import struct
import zlib

STRING = 7
"""The type of a header's value."""


def compact(fields: object) -> bytes:
    """JSON without spaces, as the services send it."""
    return json.dumps(fields, separators=(",", ":")).encode()


def frame(name: str, fields: object, kind: str = "event") -> bytes:
    """One event, or one of another kind: its headers and its JSON, between lengths and check sums."""
    told = {":message-type": kind, f":{kind}-type": name, ":content-type": "application/json"}
    headers = b"".join(
        struct.pack(
            f"!B{len(header)}sBH{len(value)}s", len(header), header.encode(), STRING, len(value), value.encode()
        )
        for header, value in told.items()
    )
    payload = compact(fields)
    prelude = struct.pack("!II", len(headers) + len(payload) + 16, len(headers))
    message = prelude + struct.pack("!I", zlib.crc32(prelude)) + headers + payload
    return message + struct.pack("!I", zlib.crc32(message))
