"""Who is told about changes: processors at once, subscriptions as readers that take the newest.

No lock is held while anybody is told.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from msgspec import Struct

from midspan.core import failures
from midspan.core.processor import Processor, Settler
from midspan.core.state import State
from midspan.core.subscription import Subscription

Told = TypeVar("Told")
Listeners = tuple[Callable[[Told], object], ...]


class Audience(Struct, frozen=True):
    """The methods of the processors, by what they are told of."""

    start: Listeners[State] = ()
    update: Listeners[State] = ()
    end: Listeners[State] = ()
    settle: Listeners[Sequence[State]] = ()

    @classmethod
    def of(cls, processors: tuple[Processor, ...]) -> Audience:
        """Looked up once: each operation tells three times or more. What a processor has not written is not called."""
        return cls(
            tuple(each.on_start for each in processors if type(each).on_start is not Processor.on_start),
            tuple(each.on_update for each in processors if type(each).on_update is not Processor.on_update),
            tuple(each.on_end for each in processors if type(each).on_end is not Processor.on_end),
            tuple(each.on_settle for each in processors if isinstance(each, Settler)),
        )


class Telling:
    """The processors and subscriptions of a registry."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.eager = False
        self.watched = False
        """True while somebody subscribes: the pulse is faster then."""
        # Re-entrant, as every lock of the core: a signal handler may report progress between any two instructions.
        self._lock = threading.RLock()
        self._processors: tuple[Processor, ...] = ()
        self._audience = Audience()
        self._subscriptions: tuple[Subscription, ...] = ()
        self.on_watched: Callable[[], object] | None = None
        """Told that the first reader has come: the pulse, which is slow while there is none."""

    def add_processor(self, processor: Processor) -> None:
        """Tell `processor` about every change from now on."""
        with self._lock:
            self._set_processors((*self._processors, processor))

    def remove_processor(self, processor: Processor) -> None:
        """Tell it no more."""
        with self._lock:
            self._set_processors(tuple(each for each in self._processors if each is not processor))

    def _set_processors(self, processors: tuple[Processor, ...]) -> None:
        self._processors = processors
        self._audience = Audience.of(processors)

    def subscribe(self, matches: Callable[[State], bool] | None = None, *, eager: bool = False) -> Subscription:
        """A new reader of changes; see `Subscription`."""
        subscription = Subscription(self.clock, self._unsubscribe, matches, eager)
        with self._lock:
            is_first = not self._subscriptions
            self._set_subscriptions((*self._subscriptions, subscription))
        if is_first and self.on_watched is not None:
            self.on_watched()
        return subscription

    def _unsubscribe(self, subscription: Subscription) -> None:
        with self._lock:
            self._set_subscriptions(tuple(each for each in self._subscriptions if each is not subscription))

    def _set_subscriptions(self, subscriptions: tuple[Subscription, ...]) -> None:
        self._subscriptions = subscriptions
        self.watched = bool(subscriptions)
        self.eager = any(subscription.eager for subscription in subscriptions)

    def _tell(self, listeners: Listeners[Told], what: Told) -> None:
        for listener in listeners:
            try:
                listener(what)
            except Exception:
                failures.report("processor")

    def _offer(self, state: State) -> None:
        for subscription in self._subscriptions:
            try:
                subscription.offer(state)
            except Exception:
                failures.report("subscription")
