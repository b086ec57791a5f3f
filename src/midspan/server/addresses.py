"""Where a server listens, and which addresses stay on this machine. Imports no server: cheap to import."""

from __future__ import annotations

import errno
import socket
from ipaddress import ip_address
from typing import NamedTuple

from midspan.core.failures import logger

BACKLOG = 128


class Address(NamedTuple):
    """A host and a port."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """The address as `http://host:port`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


def is_loopback(host: str) -> bool:
    """True for `localhost` and for literal loopback addresses; no name is looked up."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def listen(wanted: Address) -> socket.socket:
    """A socket that listens already. A taken port is replaced by a free one, with one warning.

    Raises OSError when the host cannot be bound at all.
    """
    try:
        return _bound(wanted)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
    listener = _bound(wanted._replace(port=0))
    chosen = wanted._replace(port=listener.getsockname()[1])
    logger.warning("midspan: port %d is taken; the server listens on %s instead", wanted.port, chosen.url)
    return listener


def _bound(address: Address) -> socket.socket:
    family, kind, protocol, _, target = socket.getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(target)
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener
