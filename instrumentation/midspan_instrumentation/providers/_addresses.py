"""Where a URL points, for SDKs that keep the address of their service as a text."""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import urlsplit

from midspan_instrumentation.provider import Server

_DEFAULT_PORTS = {"https": 443, "http": 80}


@lru_cache(maxsize=1_000)  # asked at every call, of a few addresses; taking a URL apart costs as much as the rest
def server_at(url: str, timeout: float | None = None, provider: str | None = None) -> Server:
    """The server of a URL, for a client that waits `timeout` seconds for an answer."""
    parts = urlsplit(url)
    return Server(
        address=parts.hostname,
        port=parts.port or _DEFAULT_PORTS.get(parts.scheme),
        timeout=timeout,
        provider=provider,
    )
