"""No prompt, answer or server's word leaves the process unasked: a canary in each is looked for on every surface."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.canary.program import ASKED, REFUSED
from tests.environ import clean_environ
from tests.fakes.openai_server import FakeOpenAI

PROGRAM = Path(__file__).with_name("program.py")
ROWS = {
    "/v1/operations",
    "/v1/operations/{id}",
    "/v1/export?format=ndjson",
    "/v1/export?format=csv",
    "/api/monitoring/sessions/recent",
}
Shown = dict[str, str]


@pytest.fixture(scope="module")
def server() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as server:
        yield server


@pytest.fixture
def run(server: FakeOpenAI) -> Callable[..., Shown]:
    """Runs the program under `midspan run`, everything switched on; what each surface shows, `stderr` too."""

    def run(**settings: str) -> Shown:
        env = clean_environ(MIDSPAN_SERVER="127.0.0.1:0", MIDSPAN_LOG="json", MIDSPAN_EVENTS="span,log", **settings)
        command = [sys.executable, "-m", "midspan", "run", "--", sys.executable, PROGRAM, server.base_url]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=True)
        shown: Shown = {"stderr": done.stderr}
        for surface, text in json.loads(done.stdout):
            shown[surface] = shown.get(surface, "") + text
        return shown

    return run


def showing(canary: str, shown: Shown) -> set[str]:
    return {surface for surface, text in shown.items() if canary in text}


def test_by_default_content_is_shown_nowhere(run: Callable[..., Shown]) -> None:
    shown = run()
    assert showing("canary", shown) == set()
    assert showing("400 invalid_request_error", shown) >= {"/v1/operations", "spans", "stderr"}
    events = ("midspan.operation.start", "midspan.operation.update", "midspan.operation.end")
    assert all(event in shown[surface] for event in events for surface in ("logs", "stderr", "spans"))


def test_previews_and_results_are_shown_where_operations_are(run: Callable[..., Shown]) -> None:
    shown = run(MIDSPAN_CAPTURE_CONTENT="true")
    assert showing(ASKED, shown) == ROWS
    assert showing(REFUSED, shown) >= {"/v1/operations", "spans", "stderr"}
    assert not showing("canary", shown) & {"logs", "metrics", "/metrics", "otel metrics", "/v1/statistics"}


@pytest.mark.parametrize(("value", "surfaces"), [("SPAN_ONLY", {"spans"}), ("EVENT_ONLY", {"logs"})])
def test_messages_are_shown_where_opentelemetrys_switch_says(
    value: str, surfaces: set[str], run: Callable[..., Shown]
) -> None:
    shown = run(OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=value)
    assert showing(ASKED, shown) == surfaces
    assert showing(REFUSED, shown) == surfaces
