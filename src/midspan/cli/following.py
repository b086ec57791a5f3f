"""Follows `/v1/stream` of a running server in a thread: the newest state of each operation, and how the line is."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable

import msgspec

from midspan.cli.row import Row
from midspan.client.connection import Api, ApiError, EventStream, ServerEvent

AGAIN_SECONDS = 1.0
MAX_ROWS = 2000
_SHOWN = ("snapshot", "update", "end")


class Snapshot(msgspec.Struct, frozen=True):
    """What a stream begins with."""

    operations: list[Row]


_rows = msgspec.json.Decoder(Row)
_snapshots = msgspec.json.Decoder(Snapshot)


class Follower(threading.Thread):
    """Calls `changed` in its own thread, with a row that is new, or with None when only `trouble` has changed.

    A lost connection is made again until `stop`; `trouble` says what is wrong meanwhile, None while all is well. Of the
    ended operations only so many are kept that there are 2,000 rows; `forgotten` counts the others.
    """

    def __init__(self, api: Api, changed: Callable[[Row | None], object]) -> None:
        super().__init__(name="midspan-top-follower", daemon=True)
        self.trouble: str | None = None
        self.forgotten = 0
        self._api = api
        self._changed = changed
        self._known: dict[str, Row] = {}
        self._last_id: str | None = None
        self._stream: EventStream | None = None
        self._stopping = threading.Event()
        self._lock = threading.Lock()

    @property
    def rows(self) -> list[Row]:
        """The newest state of each operation, in the order in which they came."""
        with self._lock:
            return list(self._known.values())

    def run(self) -> None:
        """Follows until `stop`."""
        while not self._stopping.is_set():
            self._say(self._follow())
            self._stopping.wait(AGAIN_SECONDS)

    def stop(self) -> None:
        """Follow no more; does not wait."""
        self._stopping.set()
        if self._stream is not None:
            self._stream.leave()

    def _follow(self) -> str | None:
        """One connection, to its end; what is wrong then, or None where the server only wants to be asked again."""
        try:
            with self._api.stream(self._path()) as self._stream:
                if self._stream.status != 200:
                    return f"the server answers {self._stream.status}; trying again"
                self._say(None)
                return self._read(self._stream)
        except (OSError, ValueError) as error:
            return f"the server is gone ({_reason(error)}); trying again"

    def _path(self) -> str:
        return "/v1/stream" if self._last_id is None else f"/v1/stream?after={self._last_id}"

    def _read(self, stream: EventStream) -> str | None:
        for event in stream:
            if event.type == "bye":
                return _farewell(event)
            if event.type in _SHOWN:
                self._take(event)
            self._last_id = event.id or self._last_id
        return "the server has ended the stream; trying again"

    def _take(self, event: ServerEvent) -> None:
        if event.type != "snapshot":
            self._keep([_rows.decode(event.data)])
            return
        shown = _snapshots.decode(event.data).operations
        with self._lock:
            gone = self._known.keys() - {row.operation_id for row in shown}
            for operation_id in gone:
                del self._known[operation_id]
        # The newest comes first there.
        self._keep(reversed(shown))

    def _keep(self, rows: Iterable[Row]) -> None:
        for row in rows:
            with self._lock:
                is_new = self._known.get(row.operation_id) != row
                self._known[row.operation_id] = row
                self._forget()
            if is_new:
                self._changed(row)

    def _forget(self) -> None:
        if len(self._known) > MAX_ROWS:
            oldest = next((each for each in self._known.values() if each.ended), None)
            del self._known[next(iter(self._known)) if oldest is None else oldest.operation_id]
            self.forgotten += 1

    def _say(self, trouble: str | None) -> None:
        if trouble != self.trouble:
            self.trouble = trouble
            self._changed(None)


def _farewell(event: ServerEvent) -> str | None:
    """A stream that has only become old is followed again without a word."""
    is_old = json.loads(event.data).get("reason") == "age"
    return None if is_old else "the server stops; trying again"


def check(api: Api) -> None:
    """Raises ApiError where the server refuses, OSError where nobody answers, ValueError for another one's answer."""
    answer = api.ask("GET", "/v1/operations?limit=1")
    said = answer.json()
    if not isinstance(said, dict) or "operations" not in said:
        raise ValueError("what answers there is not midspan")


def reason(error: Exception) -> str:
    """Why a server could not be asked, in a few words."""
    if isinstance(error, ApiError) and error.status == 401:
        return "it wants a token: set MIDSPAN_TOKEN, or give --token"
    return _reason(error)


def _reason(error: Exception) -> str:
    said = getattr(error, "strerror", None) or str(error)
    return said or type(error).__name__
