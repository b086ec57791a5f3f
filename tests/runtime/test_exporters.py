"""OpenTelemetry's own set-up under `midspan run`: when it is made, beside what, and where it goes wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from tests.environ import clean_environ

RUN = (sys.executable, "-m", "midspan", "run", "--quiet", "--server", "off", "--")
SILENT = {"OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}
PROVIDERS = """
import gc, json
import midspan
from opentelemetry import metrics, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
exporter = InMemorySpanExporter()

def providers():
    made = sum(isinstance(each, TracerProvider) for each in gc.get_objects())
    return [made, type(trace.get_tracer_provider()).__module__, type(metrics.get_meter_provider()).__module__]

def job(number=0):
    with midspan.ProgressTracker(str(number), name="job"):
        pass
"""
SDK = [1, "opentelemetry.sdk.trace", "opentelemetry.sdk.metrics._internal"]
NONE = [0, "opentelemetry.trace", "opentelemetry.metrics._internal"]


def run(program: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*RUN, sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        env=clean_environ(**environ),
        check=False,
    )


def told(program: str, **environ: str) -> Any:
    """What the program prints as JSON; it says nothing else."""
    done = run(PROVIDERS + program, **environ)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def test_the_environments_exporters_are_made_for_the_first_operations_of_all_threads_and_no_earlier() -> None:
    program = """
import os, threading
if os.fork() == 0:
    job()
    os._exit(providers()[0])
in_the_child, before = os.waitstatus_to_exitcode(os.wait()[1]), providers()
barrier = threading.Barrier(4)
threads = [threading.Thread(target=lambda n=n: (barrier.wait(), job(n))) for n in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
spans = [operation.span_id is not None for operation in midspan.get_progress_registry().operations()]
print(json.dumps([in_the_child, before, providers(), spans]))
"""
    assert told(program, OTEL_TRACES_EXPORTER="midspan", **SILENT) == [1, NONE, SDK, [True] * 4]


def test_operations_of_threads_that_outlive_the_main_one_are_exported_too() -> None:
    program = """
import threading

def late():
    threading.main_thread().join()
    job()
    print(json.dumps(providers()))

threading.Thread(target=late).start()
"""
    assert told(program, OTEL_TRACES_EXPORTER="midspan", **SILENT) == SDK


def test_a_span_of_somebody_elses_has_its_provider_too_and_one_that_is_only_described_makes_none() -> None:
    program = """
tracer = trace.get_tracer("another tool")
described = tracer.start_as_current_span("decorates")(lambda: trace.get_current_span().is_recording())
before = providers()
first = described()
print(json.dumps([before, first, providers(), len(midspan.get_progress_registry().operations())]))
"""
    assert told(program, OTEL_TRACES_EXPORTER="midspan", **SILENT) == [NONE, True, SDK, 0]


def test_a_provider_of_the_applications_own_is_the_only_one_of_its_kind() -> None:
    program = """
own = TracerProvider()
own.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(own)
job()
print(json.dumps([trace.get_tracer_provider() is own, [s.name for s in exporter.get_finished_spans()], providers()]))
"""
    assert told(program, OTEL_TRACES_EXPORTER="midspan", **SILENT) == [True, ["job"], SDK]


def test_what_opentelemetry_refuses_is_told_in_one_line_and_midspan_works_without_it() -> None:
    program = """
import midspan
from midspan.runtime.wiring import runtime
with midspan.ProgressTracker(name="job"):
    pass
print(runtime().patched, [str(operation.status) for operation in midspan.get_progress_registry().operations()])
"""
    done = run(program, OTEL_TRACES_EXPORTER="nosuch")
    assert (done.returncode, done.stdout) == (0, "True ['completed']\n"), done.stderr
    (line,) = done.stderr.splitlines()
    assert "nothing is exported" in line and "nosuch" in line
