"""Fixtures for tests of functions that a server starts: the tasks, and a client of a server that has them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from midspan.tracking.task import Task
from midspan.tracking.tasks import Tasks
from midspan.tracking.tracker import ProgressRegistry
from tests.server.conftest import Serving


def fixtures_of(functions: dict[str, Callable[..., Any]], **limits: int) -> tuple[Any, Any]:
    """The fixtures `tasks`, these functions by name, and `client`."""

    @pytest.fixture
    def tasks(registry: ProgressRegistry) -> Iterator[Tasks]:
        made = Tasks(registry, **limits)
        for name, function in functions.items():
            made.add(Task.of(name, function, {}))
        yield made
        made.stop(within=20)

    @pytest.fixture
    def client(serving: Serving, registry: ProgressRegistry, tasks: Tasks) -> Iterator[httpx2.Client]:
        with serving(registry, tasks=tasks) as client:
            yield client

    return tasks, client
