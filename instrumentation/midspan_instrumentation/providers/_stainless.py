"""What the SDKs that Stainless generates have in common (openai, groq, anthropic): the client behind a resource, its
address and timeout, and the classes of streams."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from midspan_instrumentation.provider import RetryDelay, Server, StreamClass
from midspan_instrumentation.providers._fields import seconds
from midspan_instrumentation.providers._hosts import provider_at

_DEFAULT_PORTS = {"https": 443, "http": 80}


def read_client(instance: object) -> object | None:
    """The client that a resource was taken from."""
    return getattr(instance, "_client", None)


_servers: dict[int, tuple[object, object, Server]] = {}
"""What was read of a client before, by its id: it is asked at every call, and the address costs as much as the rest.

An entry keeps the client's address and timeout alive, by which another client at the same place is told from it.
"""
MAX_SERVERS = 1_000


def server_behind(instance: object, named: Callable[[object], str | None]) -> Server:
    """The server behind a resource; `named` gives the provider for another one's client, None where its host tells."""
    client: Any = read_client(instance)
    if client is None:
        return Server()
    # Where there is the private one: the property takes longer than all the rest here.
    url, timeout = getattr(client, "_base_url", None) or client.base_url, client.timeout
    known = _servers.get(id(client))
    if known is None or known[0] is not url or known[1] is not timeout:
        if len(_servers) >= MAX_SERVERS:
            _servers.clear()
        known = _servers[id(client)] = url, timeout, _server_of(client, named(client))
    return known[2]


def _server_of(client: Any, provider: str | None) -> Server:
    url = client.base_url
    return Server(
        address=url.host,
        port=url.port or _DEFAULT_PORTS.get(url.scheme),
        timeout=seconds(client.timeout),
        provider=provider or provider_at(url.host),
    )


def retry_delays(package: str) -> tuple[RetryDelay, ...]:
    """Where the SDK says how long it sleeps between two attempts, by the server's own header or by its back-off."""
    return (RetryDelay(f"{package}._base_client", "BaseClient._calculate_retry_timeout"),)


def stream_classes(package: str) -> tuple[StreamClass, ...]:
    """The SDK's classes of streams."""
    module = f"{package}._streaming"
    return StreamClass(module, "Stream"), StreamClass(module, "AsyncStream", is_async=True)
