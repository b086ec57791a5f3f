"""Four ways of OTLP, each through a real collector: what it has while an operation runs, at its end, after kill -9."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from itertools import dropwhile
from pathlib import Path

import pytest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from tests.collector.collectors import Rotel, rotel
from tests.collector.receiver import PREFIX, Receiver, Service, attributes, listening, points
from tests.environ import clean_environ
from tests.fakes.openai_server import FakeOpenAI

APP = Path(__file__).with_name("streaming_app.py")
RUN = [sys.executable, "-m", "midspan", "run", "--quiet", "--server", "off", "--"]
OTEL = [str(Path(sys.executable).with_name("opentelemetry-instrument"))]
WAYS = {
    "grpc": ("grpc", "none", RUN),
    "grpc-gzip": ("grpc", "gzip", OTEL),
    "http": ("http/protobuf", "none", OTEL),
    "http-gzip": ("http/protobuf", "gzip", RUN),
}
STAGES = [
    "connecting_to_model", "sending_request", "waiting_first_chunk", "streaming_response", "processing_response",
]  # fmt: skip

Eventually = Callable[[Callable[[], object], float], None]


@dataclass
class Run:
    """One application: what has come of it while its answer streamed, and what there is of it after its kill."""

    service: Service
    fake: FakeOpenAI
    process: subprocess.Popen[str]
    while_open: list[str] = field(default_factory=list)

    @property
    def seen(self) -> list[str]:
        return self.service.event_names("gated")

    @property
    def hanging(self) -> list[str]:
        return self.service.event_names("hanging")

    def is_stalled(self) -> bool:
        return "stall" in self.seen and "stall" in self.hanging

    def has_all(self) -> bool:
        return "end" in self.seen and bool(self.service.spans) and ended(self.service) == 1

    def kill(self) -> None:
        assert self.process.stdout is not None
        os.kill(int(self.process.stdout.readline()), signal.SIGKILL)
        self.process.communicate(timeout=20)


def ended(service: Service) -> float:
    """How many operations have ended, says the newest metric."""
    metric = service.metrics.get("midspan.operation.ended")
    return 0 if metric is None else sum(point.as_int or point.as_double for point in metric.sum.data_points)


def end(process: subprocess.Popen[str]) -> None:
    """Whatever is left of it: `midspan run` is a process of its own above the application."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def start(way: str, collector: Rotel, receiver: Receiver, stack: ExitStack) -> Run:
    protocol, compression, under = WAYS[way]
    fake = stack.enter_context(FakeOpenAI())
    more = {"OPENAI_BASE_URL": fake.base_url, "OPENAI_API_KEY": "none", "MIDSPAN_STALL_AFTER": "1"}
    process = subprocess.Popen(
        [*under, sys.executable, str(APP)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=clean_environ(**collector.environ(protocol, compression), **more, OTEL_SERVICE_NAME=way),
        start_new_session=True,
    )
    stack.enter_context(process)
    stack.callback(end, process)
    return Run(receiver.service(way), fake, process)


@pytest.fixture(scope="module")
def runs(eventually: Eventually) -> Iterator[dict[str, Run]]:
    """All four at once: paced to a stall, then to the end, then killed."""
    receiver = Receiver()
    with ExitStack() as stack:
        collector = stack.enter_context(rotel(stack.enter_context(listening(receiver))))
        runs = {way: start(way, collector, receiver, stack) for way in WAYS}
        for run in runs.values():
            run.fake.gate.release(2)
        eventually(lambda: all(run.is_stalled() for run in runs.values()), 40.0)
        for run in runs.values():
            run.fake.gate.release()
        eventually(lambda: all("resume" in run.seen for run in runs.values()), 20.0)
        for run in runs.values():
            run.while_open = list(run.service.arrivals)
            run.fake.gate.release(100)
        eventually(lambda: all(run.has_all() for run in runs.values()), 40.0)
        for run in runs.values():
            run.kill()
        yield runs


@pytest.fixture(params=WAYS)
def run(request: pytest.FixtureRequest, runs: dict[str, Run]) -> Run:
    return runs[request.param]


def test_start_updates_stall_and_resume_arrive_while_the_span_is_open(run: Run) -> None:
    assert set(run.while_open) == {f"{PREFIX}{name}" for name in ("start", "update", "stall", "resume")}


def without_repeats(names: list[str]) -> list[str]:
    """In the order of their first time: how often each comes is a matter of time."""
    return list(dict.fromkeys(names))


def stage_of(record: LogRecord) -> str | None:
    return attributes(record.attributes).get("midspan.stage")


def test_a_call_that_is_seen_to_its_end_has_all_events_in_order(run: Run) -> None:
    told = without_repeats(run.seen)
    # On a busy machine it may stall before its connection stands, too: what it does then is told before the connection.
    assert (told[0], set(told[1:-1]), told[-1]) == ("start", {"update", "stall", "resume"}, "end")
    stages = without_repeats([stage for each in run.service.events("gated") if (stage := stage_of(each))])
    assert {*stages[:2]} == {*STAGES[:2]}
    assert stages[2:] == STAGES[2:]
    records = run.service.events("gated")
    times = [record.time_unix_nano for record in records]
    assert times == sorted(times)
    assert {record.event_name for record in records if record.severity_text != "INFO"} == {f"{PREFIX}stall"}


def test_its_span_comes_at_the_end_with_the_same_events_as_its_log_records(run: Run) -> None:
    (span,) = run.service.spans
    assert span.name == "chat gated"
    assert run.service.arrivals[len(run.while_open) :].count(span.name) == 1
    records = run.service.events("gated")
    # A stall that is told before the request is on its way (a slow machine) has no span yet; what follows has.
    told = dropwhile(lambda ids: ids == (b"", b""), ((record.trace_id, record.span_id) for record in records))
    assert set(told) == {(span.trace_id, span.span_id)}
    assert [(event.name, event.time_unix_nano) for event in span.events] == [
        (record.event_name, record.time_unix_nano) for record in records
    ]
    for event, record in zip(span.events, records, strict=True):
        assert attributes(event.attributes).items() <= attributes(record.attributes).items()


def test_what_ran_at_kill_9_is_still_there_without_a_span_and_without_an_end(run: Run) -> None:
    assert (run.hanging[0], run.hanging[-1]) == ("start", "stall")
    assert "end" not in run.hanging
    assert {record.trace_id for record in run.service.events("hanging")}.isdisjoint({run.service.spans[0].trace_id})
    assert [span.name for span in run.service.spans] == ["chat gated"]


def test_the_metrics_of_the_call_and_of_what_still_ran_arrive(run: Run) -> None:
    metrics = run.service.metrics
    by_model = {
        attributes(point.attributes)["gen_ai.request.model"]: point.as_int
        for point in points(metrics["midspan.operation.started"])
    }
    assert by_model == {"gated": 1, "hanging": 1}
    (active,) = [point for point in points(metrics["midspan.operation.active"]) if point.as_int]
    assert attributes(active.attributes)["midspan.stage"] == "streaming_response"
    assert attributes(active.attributes)["gen_ai.request.model"] == "hanging"


def test_a_duration_carries_its_span_as_exemplar(run: Run) -> None:
    found = run.service.exemplars["midspan.operation.duration"]
    (span,) = run.service.spans
    assert [(exemplar.trace_id, exemplar.span_id) for exemplar in found] == [(span.trace_id, span.span_id)]
