"""What must not be seen: everything, a block of code, one client, or what OpenTelemetry suppresses."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any
from weakref import WeakSet

# What `suppress_instrumentation()` sets, the second one by the SDK's own exporters too. Asking
# `opentelemetry.instrumentation.utils` would cost its import, some 25 ms, in every process.
_SUPPRESSING = "suppress_instrumentation"
_suppressing_sdk = ""
_otel_context: Any = None

_blocked: ContextVar[bool] = ContextVar("midspan_disabled", default=False)
_clients: WeakSet[object] = WeakSet()
# Asking an empty set costs every call more than asking this.
_has_clients = False


@contextmanager
def disabled() -> Generator[None]:
    """No call made inside this block is seen by midspan."""
    token = _blocked.set(True)
    try:
        yield
    finally:
        _blocked.reset(token)


def disable(client: object) -> None:
    """No call made through this client object (an `OpenAI()`, say) is seen from now on."""
    global _has_clients
    _has_clients = True
    _clients.add(client)
    # Resources of some SDKs know only the part of the client that sends their requests.
    for part in getattr(client, "__dict__", {}).values():
        with suppress(TypeError):  # a text, say: nothing that could be remembered
            _clients.add(part)


def suppressed(client: object | None = None) -> bool:
    """True when the call at hand must pass by untouched and unseen."""
    if _blocked.get():
        return True
    otel_context = _otel_context or _find_context()
    around = otel_context and otel_context.get_current()
    if around and (around.get(_SUPPRESSING) or around.get(_suppressing_sdk)):
        return True
    return _has_clients and client is not None and (client in _clients or _is_part_of_one(client))


def _find_context() -> Any:
    """The module of OpenTelemetry's contexts; None while nobody has imported it, and so nobody suppresses anything."""
    global _otel_context, _suppressing_sdk
    if "opentelemetry.context" in sys.modules:
        from opentelemetry import context

        _suppressing_sdk = getattr(context, "_SUPPRESS_INSTRUMENTATION_KEY", "")
        _otel_context = context
    return _otel_context


def _is_part_of_one(client: object) -> bool:
    """True for what a client that is not to be seen has made since."""
    return any(client is part for one in list(_clients) for part in list(getattr(one, "__dict__", {}).values()))
