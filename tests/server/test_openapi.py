"""The document says what is served, and what is served is what the document says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import httpx2
import msgspec
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from midspan.core.operation import Operation
from midspan.server import rest, sse, waiting
from midspan.server.documents import Events, Page, Tree
from midspan.server.ingest import Creation, Report
from midspan.server.statistics import Statistics
from midspan.tracking.tracker import ProgressRegistry

ROOT = Path(__file__).parents[2]
NOT_IN_IT = re.compile(r"/v1/ws|/mcp.*|/(?!v1/|healthz|readyz|metrics).*")
"""WebSockets and MCP, which OpenAPI has no words for, the page, and the dialects, which are the seeds' own."""


@pytest.fixture
def document(client: httpx2.Client) -> dict:
    answer = client.get("/v1/openapi.json")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    return answer.json()


def test_every_route_is_in_the_document_and_nothing_else(served, document: dict) -> None:
    shown = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert shown == routes_of(served[0].app)


def routes_of(app: Starlette) -> set[tuple[str, str]]:
    """(method, path) of every route of the native API."""
    routes = [route for route in app.routes if isinstance(route, Route) and not NOT_IN_IT.fullmatch(route.path)]
    return {(method, route.path) for route in routes for method in route.methods or () if method != "HEAD"}


def test_every_name_of_an_operation_in_the_document_is_there_once(document: dict) -> None:
    names = [row["operationId"] for methods in document["paths"].values() for row in methods.values()]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("kind", [Operation, Page, Events, Tree, Statistics, Creation, Report])
def test_every_field_that_is_served_is_in_its_schema(document: dict, kind: type[msgspec.Struct]) -> None:
    shown = document["components"]["schemas"][kind.__name__]["properties"]
    assert set(kind.__struct_encode_fields__) <= set(shown)


def test_a_row_has_just_the_fields_of_its_schema(client, registry, document: dict) -> None:
    tracker = registry.create_tracker("one", deadline=60.0)
    tracker.update(message="a")
    row = client.get("/v1/operations/one").json()
    schema = document["components"]["schemas"]["Operation"]
    assert set(schema["properties"]) == set(schema["required"]) == set(row)
    times = {name for name, shown in schema["properties"].items() if shown.get("format") == "date-time"}
    assert times == {name for name, value in row.items() if name.endswith("_at")}


def test_the_document_says_where_it_is_served(document: dict) -> None:
    assert document["servers"] == [{"url": "/"}]
    assert document["openapi"].startswith("3.1.")


# --- schemathesis -------------------------------------------------------------------------------


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams end as if they were old, and who waits for a change waits for a moment only."""

    async def briefly(registry, hub, request, after, _) -> Operation:
        return await waiting.changed_operation(registry, hub, request, after, 0.01)

    monkeypatch.setattr(rest, "changed_operation", briefly)
    monkeypatch.setattr(sse, "MAX_AGE_SECONDS", 0.0)


@pytest.fixture
def filled(registry: ProgressRegistry) -> None:
    """Some operations to be found."""
    for number in range(60):
        registry.create_tracker(f"op-{number}", "batch").complete(result=number)
    registry.create_tracker("running").update(message="m")


SCHEMATHESIS = (
    *(sys.executable, "-m", "schemathesis.cli", "--config-file", Path(__file__).with_name("schemathesis.toml"), "run"),
    *("--phases", "examples,coverage,fuzzing", "--generation-deterministic", "--max-examples", "5"),
    *("--request-timeout", "10", "--no-color"),
)


@pytest.mark.usefixtures("impatient", "filled")
def test_schemathesis_finds_nothing(client, document: dict, tmp_path) -> None:
    done = subprocess.run(
        [*SCHEMATHESIS, f"{client.base_url}/v1/openapi.json"],
        cwd=tmp_path,
        env={**os.environ, "SCHEMATHESIS_HOOKS": "tests.server.schemathesis_formats", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-20000:] + done.stderr[-2000:]
    count = sum(len(methods) for methods in document["paths"].values()) - 1  # it leaves out the document's own path
    assert f"{count} selected / {count} total" in done.stdout, done.stdout
