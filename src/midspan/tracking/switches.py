"""What must not be seen: everything, a block of code, one client, or what OpenTelemetry suppresses."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from weakref import WeakSet

from opentelemetry import context as otel_context

# What `suppress_instrumentation()` sets, the second one by the SDK's own exporters too. Asking
# `opentelemetry.instrumentation.utils` would cost its import, some 25 ms, in every process.
_SUPPRESSING = "suppress_instrumentation"
_SUPPRESSING_SDK: str = getattr(otel_context, "_SUPPRESS_INSTRUMENTATION_KEY", "")

_blocked: ContextVar[bool] = ContextVar("midspan_disabled", default=False)
_clients: WeakSet[object] = WeakSet()


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
    _clients.add(client)
    # Resources of some SDKs know only the part of the client that sends their requests.
    for part in getattr(client, "__dict__", {}).values():
        with suppress(TypeError):  # a text, say: nothing that could be remembered
            _clients.add(part)


def suppressed(client: object | None = None) -> bool:
    """True when the call at hand must pass by untouched and unseen."""
    if _blocked.get():
        return True
    around = otel_context.get_current()
    if around and (around.get(_SUPPRESSING) or around.get(_SUPPRESSING_SDK)):
        return True
    return bool(_clients) and client is not None and client in _clients
