"""Which operations stand for jobs at a provider, by the provider's own ids."""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

from midspan.core.state import State

MAX_JOBS = 2_000

Sighting = TypeVar("Sighting")


class KnownJob(Generic[Sighting]):
    """A job that was seen: its operation, and the client that saw it last.

    `limit` is after how many seconds without progress it stands still. `is_refused` once the provider has said that it
    knows no such job. Sightings are taken in turn, by one thread at a time, without a lock around what they change.
    """

    __slots__ = ("_busy", "_client", "_lock", "_waiting", "is_open", "is_refused", "limit", "state")

    def __init__(self, state: State, limit: float) -> None:
        self.state = state
        self.limit = limit
        self.is_open = self.is_refused = False
        self._client: weakref.ref[object] | None = None
        self._lock = threading.Lock()
        self._waiting: deque[Sighting] = deque()
        self._busy = False

    @property
    def client(self) -> object | None:
        """The SDK's client by which it was seen last, while that is alive."""
        return None if self._client is None else self._client()

    def seen_by(self, client: object) -> None:
        """Remember who can ask for it, without keeping that alive."""
        try:
            self._client = weakref.ref(client)
        except TypeError:  # of a class whose objects nobody can remember that way
            self._client = None

    def turns(self, sighting: Sighting) -> Iterator[Sighting]:
        """What the caller has to take, in order; nothing while another thread is at it, which takes this one too."""
        with self._lock:
            self._waiting.append(sighting)
            if self._busy:
                return
            self._busy = True
        is_over = False
        try:
            while (found := self._next()) is not None:
                yield found
            is_over = True
        finally:
            if not is_over:
                self._busy = False

    def _next(self) -> Sighting | None:
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            self._busy = False
            return None


class KnownJobs:
    """At most 2,000 jobs, running and ended; at the limit the oldest ended one is forgotten, and counted."""

    def __init__(self) -> None:
        self.forgotten = 0
        self._known: dict[tuple[str, str], KnownJob[object]] = {}
        self._lock = threading.Lock()

    def find(self, provider: str, job_id: str) -> KnownJob[object] | None:
        """The job, if it was seen before."""
        return self._known.get((provider, job_id))

    def add(self, provider: str, job_id: str, job: KnownJob[object]) -> KnownJob[object] | None:
        """The job from now on: this one, or that of another thread that was first; None when there is no room."""
        with self._lock:
            known = self._known.get((provider, job_id))
            if known is None and self._has_room():
                known = self._known[provider, job_id] = job
            return known

    def forget(self, provider: str, job_id: str, job: KnownJob[object]) -> None:
        """This one is the job no more; the next sight of it opens an operation anew."""
        with self._lock:
            if self._known.get((provider, job_id)) is job:
                del self._known[provider, job_id]

    def _has_room(self) -> bool:
        if len(self._known) < MAX_JOBS:
            return True
        for key, known in self._known.items():
            if known.state.is_ended:
                del self._known[key]
                self.forgotten += 1
                return True
        return False
