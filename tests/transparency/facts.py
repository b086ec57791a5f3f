"""What an application can find out about what an SDK has given it."""

from __future__ import annotations

import pickle
from collections.abc import Iterable
from typing import Any


def shape(value: Any) -> object:
    """The type, what an object says it has, and what its own attributes are; but for what is midspan's."""
    # The first attempt to pickle an object leaves `__slotnames__` on its class.
    said = set(dir(value)) - {"__slotnames__"}
    return own_class(value), _not_ours(said), _not_ours(vars(value)) if hasattr(value, "__dict__") else None


def _not_ours(attributes: Iterable[str]) -> list[str]:
    return sorted(name for name in attributes if not name.startswith("midspan_"))


def own_class(value: Any) -> type:
    """The SDK's class of an object, also of a stream that is watched by a subclass of it."""
    kinds = type(value).__mro__
    ours = [kind for kind in kinds if kind.__module__.startswith("midspan_instrumentation")]
    return kinds[kinds.index(ours[-1]) + 1] if ours else kinds[0]


def pickled(value: Any) -> object:
    """What comes back from a pickle, or the exception."""
    try:
        return pickle.loads(pickle.dumps(value))
    except Exception as error:
        return type(error)


def response_facts(response: Any) -> object:
    """Of an HTTP response: the body's own class may be a subclass of what it was, everything else is equal."""
    if response is None:
        return None
    facts = response.status_code, response.headers.raw, response.is_closed, response.is_stream_consumed
    return type(response), facts, response.num_bytes_downloaded
