"""Whoever samples, or has no SDK, or sets its provider late: operations live all the same, and spans are as sampled."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.processes.programs import clean_environ

JOBS = 200
RATIO = 0.1

PROGRAM = f"""
import gc, json, sys
import midspan
from midspan.tracking.instrumenting import CallKind, attached, start_call
way, provides = sys.argv[1:]
if way == "code":
    midspan.instrument()
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
exporter, registry, live = InMemorySpanExporter(), midspan.get_progress_registry(), []

def provide():
    if provides != "configured":
        trace.set_tracer_provider(TracerProvider())
    trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(exporter))

def work():
    for _ in range({JOBS}):
        with midspan.ProgressTracker(name="job", total_steps=2) as tracker:
            tracker.update(1)
            now = registry.get(tracker.operation_id)
            live.append(f"{{now.status}} {{now.progress}}")
    call = start_call(CallKind("chat", "openai", "m"), stream=True)
    with attached(call):
        pass
    call.first_chunk()
    live.extend(f"{{now.status}} {{now.stage}}" for now in registry.operations(statuses=["running"]))
    call.complete()

if provides in ("early", "configured"):
    provide()
work()
before = {{operation.operation_id for operation in registry.operations()}}
if provides == "late":
    provide()
    work()
made = [provider for provider in gc.get_objects() if isinstance(provider, TracerProvider)]
print(json.dumps({{
    "live": live,
    "operations": [
        [o.status, o.trace_id, o.span_id, o.operation_id in before] for o in registry.operations()
    ],
    "exported": [format(span.context.span_id, "016x") for span in exporter.get_finished_spans()],
    "providers": len(made),
    "used": trace.get_tracer_provider() in made,
}}))
"""

WAYS: dict[str, tuple[str, ...]] = {
    "code": (),
    "run": (sys.executable, "-m", "midspan", "run", "--quiet", "--server", "off", "--"),
    "auto": (str(Path(sys.executable).with_name("opentelemetry-instrument")),),
}
NOTHING = {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}
# OpenTelemetry itself has a line to say about that.
NOT_CONFIGURED: dict[str, Any] = {
    "environ": {"OTEL_PYTHON_CONFIGURATOR": "none"},
    "says": "Configuration of configurator not loaded because none is set by OTEL_PYTHON_CONFIGURATOR\n",
}


@dataclass(frozen=True)
class Case:
    """A way to attach, when the application provides an SDK, and how that samples."""

    way: str
    provides: str
    sampler: str = "always_on"
    environ: dict[str, str] = field(default_factory=dict, hash=False)
    says: str = ""

    def __str__(self) -> str:
        return f"{self.way}-{self.provides}-{self.sampler}"

    def run(self) -> subprocess.CompletedProcess[str]:
        words = [*WAYS[self.way], sys.executable, "-c", PROGRAM, self.way, self.provides]
        environ = {"OTEL_TRACES_SAMPLER": self.sampler, "OTEL_TRACES_SAMPLER_ARG": str(RATIO), **self.environ}
        if self.sampler == "disabled":
            environ = {"OTEL_SDK_DISABLED": "true", **self.environ}
        more = NOTHING if self.way == "auto" else {}
        env = clean_environ(**environ, **more)
        return subprocess.run(words, capture_output=True, text=True, timeout=100, env=env, check=False)


SAMPLED = [
    Case("code", "early", "always_off"),
    Case("code", "early", "traceidratio"),
    Case("code", "early", "disabled"),
    Case("run", "early", "traceidratio"),
    Case("run", "early", "disabled"),
    Case("auto", "configured", "always_off"),
    Case("auto", "configured", "traceidratio"),
]
LATE = [Case("code", "late"), Case("run", "late"), Case("auto", "late", **NOT_CONFIGURED)]
NONE = [Case("run", "never"), Case("auto", "never", **NOT_CONFIGURED)]
REFUSED = [Case("auto", "late"), Case("auto", "late", environ={"MIDSPAN_ENABLED": "false"})]

Outcomes = dict[int, subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def outcomes() -> Iterator[Outcomes]:
    """Every case has a process of its own, two at a time."""
    cases = [*SAMPLED, *LATE, *NONE, *REFUSED]
    with ThreadPoolExecutor(2) as pool:
        yield dict(zip(map(id, cases), pool.map(Case.run, cases), strict=True))


def told(outcomes: Outcomes, case: Case) -> dict[str, Any]:
    """What the program found; it has ended well and said nothing."""
    done = outcomes[id(case)]
    assert (done.returncode, done.stderr) == (0, case.says)
    return json.loads(done.stdout)


def all_lived(found: dict[str, Any], rounds: int = 1) -> bool:
    """Each operation was seen while it ran, and has ended."""
    seen = [*["running 0.5"] * JOBS, "running streaming_response"] * rounds
    statuses = [status for status, *_ in found["operations"]]
    return found["live"] == seen and set(statuses) == {"completed"} and len(statuses) == len(seen)


def is_sampled(trace_id: str, sampler: str) -> bool:
    """As the SDK's own samplers have it: by the lower half of the trace's id."""
    return sampler == "traceidratio" and int(trace_id, 16) & (2**64 - 1) < round(RATIO * 2**64)


@pytest.mark.parametrize("case", SAMPLED, ids=str)
def test_operations_live_whoever_samples_and_the_spans_are_those_that_were_sampled(
    case: Case, outcomes: Outcomes
) -> None:
    found = told(outcomes, case)
    assert all_lived(found)
    assert (found["providers"], found["used"]) == (1, True)
    bound = [(trace_id, span_id) for _, trace_id, span_id, _ in found["operations"] if span_id]
    assert len(bound) == (0 if case.sampler == "disabled" else JOBS + 1)
    assert sorted(found["exported"]) == sorted(span for trace, span in bound if is_sampled(trace, case.sampler))
    assert bool(found["exported"]) == (case.sampler == "traceidratio")


@pytest.mark.parametrize("case", LATE, ids=str)
def test_a_provider_that_the_application_sets_late_is_the_only_one_and_has_the_spans_from_then_on(
    case: Case, outcomes: Outcomes
) -> None:
    found = told(outcomes, case)
    assert all_lived(found, rounds=2)
    assert (found["providers"], found["used"]) == (1, True)
    after = [span_id for _, _, span_id, before in found["operations"] if not before]
    assert sorted(found["exported"]) == sorted(after)
    assert len(after) == JOBS + 1
    assert {span_id for _, _, span_id, before in found["operations"] if before} == {None}


@pytest.mark.parametrize("case", NONE, ids=str)
def test_without_a_provider_operations_live_and_none_is_made(case: Case, outcomes: Outcomes) -> None:
    found = told(outcomes, case)
    assert all_lived(found)
    assert (found["providers"], found["used"], found["exported"]) == (0, False, [])
    assert {(trace_id, span_id) for _, trace_id, span_id, _ in found["operations"]} == {(None, None)}


def test_a_second_provider_is_refused_by_the_sdk_exactly_as_without_midspan(outcomes: Outcomes) -> None:
    ours, bare = (outcomes[id(case)] for case in REFUSED)
    assert (ours.returncode, ours.stderr) == (bare.returncode, bare.stderr)
    assert "Overriding of current TracerProvider" in bare.stderr
    assert json.loads(ours.stdout)["providers"] == json.loads(bare.stdout)["providers"]
