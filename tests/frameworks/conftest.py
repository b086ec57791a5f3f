"""The same thing done without midspan and with it. Only the tests of the framework that is installed are collected."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import midspan_instrumentation as instrumentation
from midspan.core.operation import Operation, Status
from midspan.testing import capture
from tests.fakes.openai_server import FakeOpenAI

INSTALLED = f"test_{os.environ.get('FRAMEWORK')}"
collect_ignore = [path.name for path in Path(__file__).parent.glob("test_*.py") if path.stem != INSTALLED]

Both = Callable[[Callable[[], object]], list[Operation]]


@pytest.fixture(scope="session")
def server() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as server:
        yield server


@pytest.fixture
def both() -> Iterator[Both]:
    """Does something twice: what came of it must be equal. Gives the operations that midspan saw the second time."""

    def run(do: Callable[[], object]) -> list[Operation]:
        expected = outcome(do)
        instrumentation.apply()
        with capture() as captured:
            assert expected == outcome(do)
            gc.collect()
            return captured.operations

    yield run
    instrumentation.undo()


def outcome(do: Callable[[], object]) -> object:
    """The result, or the exception by type and message."""
    try:
        return do()
    except Exception as error:
        return type(error), str(error)


def told(operation: Operation) -> tuple[Any, ...]:
    """What every test asks of a call: kind, provider, model, ending, and the tokens that it told."""
    tokens = None if operation.tokens is None else operation.tokens.output
    return operation.name, operation.provider, operation.model, operation.status, tokens


CALL = ("chat", "openai", "ok", Status.COMPLETED, 3)
"""A call of the model `ok`, streamed or not: the fake server's answer has three tokens."""
