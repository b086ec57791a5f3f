"""A small client of the native API; what it returns are the API's own JSON objects."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from midspan.client.connection import Api, ApiError

Row = dict[str, Any]

AGAIN_SECONDS = 1.0
"""Before a stream that the server has ended is followed again."""


class Client:
    """`Client("http://127.0.0.1:9465", token=…)`; without a URL it is where `MIDSPAN_SERVER` says, or the default.

    Each method sends one request, and raises ApiError where that is refused, OSError where nobody answers.
    """

    def __init__(self, base_url: str | None = None, *, token: str | None = None, timeout: float = 30.0) -> None:
        self.api = Api(base_url, token=token, timeout=timeout)

    def operations(self, **filters: object) -> Iterator[Row]:
        """The operations, newest first, page by page; `filters` are the query parameters of the list."""
        asked = {name: value for name, value in filters.items() if value is not None}
        while True:
            page = self.api.ask("GET", _with("/v1/operations", asked)).json()
            yield from page["operations"]
            if not page["next_cursor"]:
                return
            asked["cursor"] = page["next_cursor"]

    def operation(self, operation_id: str) -> Row:
        """One operation as it is now."""
        return self.api.ask("GET", _path(operation_id)).json()

    def watch(self, operation_id: str) -> Iterator[Row]:
        """The operation as it changes, until it has ended; a connection that is lost is made again."""
        while True:
            with self.api.stream(f"{_path(operation_id)}/stream") as stream:
                if stream.status != 200:
                    raise ApiError(stream.status, f"no stream of {operation_id}")
                for event in stream:
                    if event.type not in ("snapshot", "update", "end"):
                        continue
                    row = json.loads(event.data)
                    yield row
                    if row["ended_at"] is not None:
                        return
            time.sleep(AGAIN_SECONDS)

    def start(self, task: str, arguments: Mapping[str, Any] | None = None, *, idempotency_key: str = "") -> str:
        """Start a registered task; the id of its operation."""
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        return self.api.ask("POST", f"/v1/tasks/{quote(task, safe='')}", dict(arguments or {}), **headers).json()[
            "operation_id"
        ]

    def cancel(self, operation_id: str, reason: str | None = None) -> None:
        """Ask the operation to stop; whether it does is seen in its status."""
        self.api.ask("POST", f"{_path(operation_id)}/cancel", {} if reason is None else {"reason": reason}).json()

    def statistics(self, window: str | None = None) -> Row:
        """Counts, rates and times of all operations, or of those of the last `window` (`1h`, `15m`, seconds)."""
        return self.api.ask("GET", _with("/v1/statistics", {} if window is None else {"window": window})).json()


def _path(operation_id: str) -> str:
    return f"/v1/operations/{quote(operation_id, safe='')}"


def _with(path: str, query: Mapping[str, object]) -> str:
    return f"{path}?{urlencode(query)}" if query else path
