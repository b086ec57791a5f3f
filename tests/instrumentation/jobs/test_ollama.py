"""Fetching, sending and making a model: one operation a call, with the bytes of all its layers."""

from __future__ import annotations

import asyncio
import gc
import inspect
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from midspan.core.operation import Operation
from midspan.testing import Captured
from midspan.tracking.tracker import get_progress_registry
from midspan_instrumentation import _layers

ollama = pytest.importorskip("ollama")
httpx = pytest.importorskip("httpx")

PULL: list[dict[str, Any]] = [
    {"status": "pulling manifest"},
    {"status": "pulling aa11", "digest": "sha256:aa11", "total": 100},
    {"status": "pulling aa11", "digest": "sha256:aa11", "total": 100, "completed": 60},
    {"status": "pulling aa11", "digest": "sha256:aa11", "total": 100, "completed": 100},
    {"status": "pulling bb22", "digest": "sha256:bb22", "total": 300, "completed": 0},
    {"status": "pulling bb22", "digest": "sha256:bb22", "total": 300, "completed": 200},
    {"status": "pulling bb22", "digest": "sha256:bb22", "total": 300, "completed": 150},
    {"status": "pulling bb22", "digest": "sha256:bb22", "total": 300, "completed": 300},
    {"status": "verifying sha256 digest"},
    {"status": "writing manifest"},
    {"status": "success"},
]


class Lines(httpx.SyncByteStream, httpx.AsyncByteStream):  # type: ignore[name-defined,misc]
    def __init__(self, lines: list[dict[str, Any]]) -> None:
        self._lines = [f"{json.dumps(line)}\n".encode() for line in lines]

    def __iter__(self) -> Iterator[bytes]:
        yield from self._lines

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for line in self._lines:
            yield line


def transport(lines: list[dict[str, Any]], status: int = 200) -> Any:
    def respond(request: Any) -> Any:
        if status != 200:
            return httpx.Response(status, json={"error": "no such model"})
        if json.loads(request.content)["stream"]:
            return httpx.Response(200, stream=Lines(lines))
        return httpx.Response(200, json=lines[-1])

    return httpx.MockTransport(respond)


def client(lines: list[dict[str, Any]] = PULL, status: int = 200) -> Any:
    return ollama.Client("http://ollama.example", transport=transport(lines, status))


def only(seen: Captured) -> Operation:
    (operation,) = seen.operations
    return operation


def test_the_bytes_are_those_of_all_layers_that_are_known_and_never_fall(seen: Captured) -> None:
    told = []
    for _ in client().pull("llama3.2", stream=True):
        operation = only(seen)
        told.append((operation.stage, operation.completed, operation.total, operation.progress))
    assert told[1:-1] == [
        ("pulling", 0, 100, 0),
        ("pulling", 60, 100, 0.6),
        ("pulling", 100, 100, 1.0),
        ("pulling", 100, 400, 1.0),
        ("pulling", 300, 400, 1.0),
        ("pulling", 300, 400, 1.0),
        ("pulling", 400, 400, 1.0),
        ("verifying digest", 400, 400, 1.0),
        ("writing manifest", 400, 400, 1.0),
    ]
    assert told[0][:3] == ("pulling manifest", None, None)
    operation = only(seen)
    assert (operation.status, operation.operation_type, operation.name, operation.model, operation.unit) == (
        "completed", "model_pull", "pull", "llama3.2", "byte",
    )  # fmt: skip


def test_it_is_completed_with_its_success_before_the_next_line_is_asked_for(seen: Captured) -> None:
    pulling = client().pull("llama3.2", stream=True)
    for progress in pulling:
        if progress.status == "success":
            break
    pulling.close()
    assert only(seen).status == "completed"


def test_an_answer_in_one_piece_says_nothing_of_its_progress_and_is_not_in_a_hurry(
    seen: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits: list[float] = []
    monkeypatch.setattr(get_progress_registry(), "stall_after", {"": 1.0})
    respond = transport(PULL)

    def look(request: Any) -> Any:
        (state,) = get_progress_registry().running()
        limits.append(state.stall_after)
        assert only(seen).progress is None
        return respond.handler(request)

    ollama.Client("http://ollama.example", transport=httpx.MockTransport(look)).pull("llama3.2")
    assert limits == [3600]
    assert (only(seen).status, only(seen).total) == ("completed", None)


def test_the_asynchronous_client_is_seen_too(seen: Captured) -> None:
    async def pull() -> None:
        made = ollama.AsyncClient("http://ollama.example", transport=transport(PULL))
        async for _ in await made.pull("llama3.2", stream=True):
            pass
        await made.push("me/mine")

    asyncio.run(pull())
    assert [(each.name, each.status, each.completed) for each in seen.operations] == [
        ("pull", "completed", 400),
        ("push", "completed", None),
    ]


def test_making_a_model_tells_what_it_does(seen: Captured) -> None:
    lines = [
        {"status": "using existing layer sha256:aa11"},
        {"status": "quantizing F16 model to Q4_K_M", "digest": "0", "total": 10, "completed": 5},
        {"status": "success"},
    ]
    create = client(lines).create
    if "from_" not in inspect.signature(create).parameters:
        pytest.skip("this version of ollama makes models of model files only")
    for _ in create("mine", from_="llama3.2", stream=True):
        pass
    operation = only(seen)
    assert (operation.name, operation.status) == ("create", "completed")
    assert {"using existing layer", "quantizing model to"} <= set(operation.stages_completed)


@pytest.mark.parametrize("stream", [True, False])
def test_a_refusal_is_the_application_s_exception(seen: Captured, stream: bool) -> None:
    with pytest.raises(ollama.ResponseError):
        list(client(status=404).pull("nope", stream=stream))
    operation = only(seen)
    assert (operation.status, operation.error and operation.error.type) == ("failed", "ollama._types.ResponseError")


def test_an_error_in_the_middle_fails_it(seen: Captured) -> None:
    with pytest.raises(ollama.ResponseError):
        list(client([*PULL[:3], {"error": "disk full"}]).pull("llama3.2", stream=True))
    assert (only(seen).status, only(seen).progress) == ("failed", 0.6)


def test_one_that_is_left_is_cancelled(seen: Captured) -> None:
    left = client().pull("llama3.2", stream=True)
    next(left)
    left.close()
    dropped = client().pull("llama3.2", stream=True)
    next(dropped)
    del dropped
    gc.collect()
    assert [(each.status, each.status_reason) for each in seen.operations] == [
        ("cancelled", "closed early"),
        ("cancelled", "dropped"),
    ]


def test_so_many_layers_are_counted_and_no_more(seen: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_layers, "MAX_LAYERS", 1)
    list(client().pull("llama3.2", stream=True))
    assert (only(seen).completed, only(seen).total) == (100, 100)


@pytest.mark.parametrize("odd", [{}, {"status": None}, {"status": "pulling x", "digest": "x", "total": -1}])
def test_odd_lines_change_nothing(seen: Captured, odd: dict[str, Any]) -> None:
    list(client([*PULL[:3], odd, *PULL[3:]]).pull("llama3.2", stream=True))
    assert only(seen).status == "completed"
