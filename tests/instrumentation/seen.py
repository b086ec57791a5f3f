"""What tests of calls share: an SDK's fake server, a client of it, and what midspan has seen of the calls."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import midspan_instrumentation as instrumentation
from midspan.core.operation import Operation
from midspan.core.snapshot import snapshot
from midspan.core.state import State
from midspan.testing import Captured, capture
from midspan.tracking.tracker import get_progress_registry
from midspan_instrumentation import _tables
from midspan_instrumentation.provider import Provider
from tests.fakes.sdk import Sdk
from tests.fakes.serving import FakeServer


def fixtures_of(sdk: Sdk) -> tuple[Any, Any]:
    """The fixtures `server` and `client`: one fake server for a file's tests, and a client of it for each."""

    @pytest.fixture(scope="module")
    def server() -> Iterator[FakeServer]:
        with sdk.server() as server:
            yield server

    @pytest.fixture
    def client(server: FakeServer) -> Iterator[Any]:
        with sdk.sync_client(server.base_url) as client:
            yield client

    return server, client


def the_operation(seen: Captured) -> Operation:
    """The only one."""
    (operation,) = seen.operations
    return operation


def the_ended(seen: Captured) -> Operation:
    """The only one, and it is over."""
    operation = the_operation(seen)
    assert get_progress_registry().running() == []
    return operation


def attributes(states: list[State]) -> dict[str, Any]:
    """What the span of the only one says."""
    (state,) = states
    return said(state)


def said(state: State) -> dict[str, Any]:
    """What its span says, from its start and at its end; each list as the tuple that an SDK's span makes of it."""
    found = {**(state.attributes or {}), **(state.learned or {})}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in found.items()}


class Told:
    """A processor that keeps what it is told of."""

    def __init__(self) -> None:
        self.seen: list[Operation] = []

    def on_start(self, state: State) -> None:
        pass

    def on_update(self, state: State) -> None:
        self.seen.append(snapshot(state, get_progress_registry().clock()))

    def on_end(self, state: State) -> None:
        pass


@contextmanager
def wrapped(provider: Provider) -> Generator[Captured]:
    """What is seen while a test's own SDK is wrapped, and the transports are."""
    patches = tuple(_tables.patches(provider))
    instrumentation.apply(["openai"])
    for patch in patches:
        patch.install()
    try:
        with capture() as captured:
            yield captured
    finally:
        for patch in patches:
            patch.remove()
        instrumentation.undo()


def with_others(module: ModuleType, **others: object) -> SimpleNamespace:
    """A module for one other module alone, with other things under these names.

    In the module itself they would be there for everybody: for the loops and threads of servers, say.
    """
    return SimpleNamespace(**{**vars(module), **others})
