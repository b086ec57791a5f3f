"""Whether the server that runs us was told to stop, so that streams can end before it waits for them.

A server tells an ASGI app only after the last connection has ended, and some wait for that without a limit. Patching
the server is not for a guest to do; looking at it is: uvicorn's handler of SIGINT and SIGTERM is a method of the object
that knows.
"""

from __future__ import annotations

import signal

_TOLD_BY = (signal.SIGTERM, signal.SIGINT)


def server_is_leaving() -> bool:
    """True once a server whose signal handler says so has begun to stop; False for all others."""
    handlers = [signal.getsignal(number) for number in _TOLD_BY]
    return any(getattr(getattr(handler, "__self__", None), "should_exit", False) is True for handler in handlers)
