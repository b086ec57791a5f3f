"""`midspan.watch`: an operation of this process as it changes, or a job that a provider runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Protocol

from midspan.core.operation import Operation
from midspan.tracking import watching
from midspan.tracking.tracker import ProgressRegistry


class Snapshots(Protocol):
    """The snapshots of one operation, as they change, until it has ended; iterate them once, sync or async."""

    def __iter__(self) -> Iterator[Operation]: ...

    def __aiter__(self) -> AsyncIterator[Operation]: ...


class JobSnapshots(Snapshots, Protocol):
    """Those of a job at a provider; `trouble` says why it could not be asked the last time."""

    trouble: str | None
    on_trouble: Callable[[str], object] | None


def watch(
    job: object,
    timeout: float | None = None,
    *,
    client: object | None = None,
    kind: str | None = None,
    registry: ProgressRegistry | None = None,
) -> Snapshots:
    """Iterate (`for` or `async for`) an operation's snapshots: as it is now, then as it changes, until it has ended.

    `job` is the id of an operation of this process; or a job that a provider runs: an SDK's object (a `Batch`, say), or
    with the SDK's `client` its id, of this `kind` where the id does not say. The provider is asked for such a job with
    the client, by default the one that has seen it: first after a second, later every 30, or when it says so itself. An
    asynchronous client wants `async for`.

    Raises LookupError when there is no such operation, TypeError for what is no job of a known SDK or needs a client,
    ValueError for an id of an unknown kind, TimeoutError when it has not ended after `timeout` seconds, and what the
    SDK raises where the provider refuses to answer or does not know the job: then the operation has failed.
    """
    if isinstance(job, str) and client is None:
        return watching.watch(job, timeout, registry=registry)
    from midspan.runtime import wiring

    return wiring.watch_job(job, client, kind, timeout)
