"""What is renewed in a forked child, and what is left as it is; real forks are in tests/processes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests

from midspan.core import failures
from midspan.runtime import forked_exporters
from midspan.runtime.forked_exporters import renew_exporters


class Part:
    """Something of the SDK's."""

    __module__ = "opentelemetry.sdk.part"

    def __init__(self, **attributes: Any) -> None:
        self.__dict__ = attributes


class Foreign(Part):
    __module__ = "application"


class Refuses:
    """A lock of a kind that nobody knows is no lock."""

    __module__ = "opentelemetry.sdk.part"

    @property
    def __dict__(self) -> Any:  # pyright: ignore[reportIncompatibleVariableOverride]
        raise LookupError


@contextmanager
def held_elsewhere(*locks: Any) -> Iterator[None]:
    """In another thread, as at a fork."""
    taken, leave = threading.Event(), threading.Event()

    def hold() -> None:
        for lock in locks:
            lock.acquire()
        taken.set()
        leave.wait(20)
        for lock in locks:
            lock.release()

    thread = threading.Thread(target=hold)
    thread.start()
    taken.wait(20)
    yield
    leave.set()
    thread.join()


@pytest.mark.parametrize("make", [threading.Lock, threading.RLock])
def test_a_lock_that_a_thread_held_is_free_and_still_shared_by_those_that_shared_it(make: Callable[[], Any]) -> None:
    lock, free = make(), make()
    part = Part(lock=lock, parts=[Part(lock=lock)], by_name={"a": (Part(lock=lock),)}, free=free)
    with held_elsewhere(lock):
        renew_exporters(part)
        assert part.lock is not lock and type(part.lock) is type(lock)
        assert part.lock.acquire(blocking=False)
    assert part.lock is part.parts[0].lock is part.by_name["a"][0].lock
    assert part.free is free


def test_what_is_not_opentelemetrys_keeps_its_locks_and_what_lies_behind_it() -> None:
    lock = threading.Lock()
    behind = Part(lock=lock)
    foreign = Foreign(lock=lock, behind=behind)
    with held_elsewhere(lock):
        renew_exporters(Part(foreign=foreign))
    assert foreign.lock is behind.lock is lock


def test_a_session_keeps_its_settings_and_has_other_adapters() -> None:
    session = requests.Session()
    session.mount("http://", requests.adapters.HTTPAdapter(max_retries=3, pool_maxsize=7))
    before = dict(session.adapters)
    renew_exporters(Part(transport=Part(session=session)))
    assert list(session.adapters) == list(before)
    assert not set(session.adapters.values()) & set(before.values())
    adapter: Any = session.get_adapter("http://collector")
    assert adapter.max_retries.total == 3
    assert adapter.poolmanager.connection_pool_kw["maxsize"] == 7


def test_the_walk_ends_with_what_goes_in_circles_and_where_there_is_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forked_exporters, "AT_MOST", 10)
    lock = threading.Lock()
    far = Part(lock=lock)
    for _ in range(20):
        far = Part(next=far)
    circle = Part(lock=lock)
    circle.itself = circle  # type: ignore[attr-defined]
    with held_elsewhere(lock):
        renew_exporters(circle)
        renew_exporters(far)
    assert circle.lock is not lock
    while hasattr(far, "next"):
        far = far.next
    assert far.lock is lock


def test_an_object_that_cannot_be_looked_at_is_reported_and_nothing_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "raising", False)
    renew_exporters(Refuses())
    assert failures.counts() == {"fork": 1}
