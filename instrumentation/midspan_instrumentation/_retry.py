"""Between two attempts of a call: the SDK says how long it sleeps, and the operation says so too."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from midspan_instrumentation._call import current_call
from midspan_instrumentation._guard import guarded


def retry_delay(
    wrapped: Callable[..., object],
    _instance: object,
    args: tuple[object, ...],
    kwargs: Mapping[str, object],
) -> object:
    """The wrapper for a `RetryDelay`."""
    seconds = wrapped(*args, **kwargs)
    _tell(seconds)
    return seconds


@guarded("retry")
def _tell(seconds: object) -> None:
    call = current_call.get()
    if call is not None and isinstance(seconds, (int, float)):
        call.tracker.wait_to_retry(seconds, call.last_error)
