"""A stall and a missed deadline from end to end: events within a beat, gauges while they last, each type's limit."""

from __future__ import annotations

import json
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from typing import Any
from urllib.request import urlopen

import pytest

from tests.processes.programs import start

Eventually = Callable[[Callable[[], object], float], None]

PROGRAM = """
import midspan
midspan.instrument()
from midspan.runtime.wiring import runtime

@midspan.track_progress(operation_type="slow", name="stuck", total_steps=2, deadline=0.5)
def stuck():
    tracker = midspan.get_progress_tracker()
    tracker.update(1)
    print(runtime().serving.metrics_server.url, flush=True)
    for step in (1, 2):
        sys.stdin.readline()
        tracker.update(step)
    sys.stdin.readline()

with midspan.ProgressTracker(name="patient", deadline=3600) as patient:
    patient.update(progress=0.0001)
    stuck()
"""
SETTINGS = {"MIDSPAN_STALL_AFTER": "600,slow=1.2", "MIDSPAN_METRICS": "127.0.0.1:0", "MIDSPAN_LOG": "json"}


class Program:
    """The program, the events that it has logged, and its gauges."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.events: list[dict[str, Any]] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        assert process.stdout is not None
        self.url = process.stdout.readline().strip()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.events.append(json.loads(line))

    def of(self, name: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["midspan.operation.name"] == name]

    def kinds(self, name: str) -> list[str]:
        return [event["event"].removeprefix("midspan.operation.") for event in self.of(name)]

    def go_on(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def gauge(self, name: str) -> dict[str, float]:
        """Its value by the operation's name."""
        with urlopen(f"{self.url}/metrics", timeout=20) as answer:
            page = answer.read().decode()
        found = re.findall(rf'^{name}\{{.*?midspan_operation_name="(\w+)".*?\}} (\S+)$', page, re.MULTILINE)
        return {operation: float(value) for operation, value in found}

    def end(self) -> None:
        self.go_on()
        assert self.process.wait(40) == 0
        self._reader.join(20)


@pytest.fixture
def program() -> Iterator[Program]:
    with start(PROGRAM, **SETTINGS) as process:
        try:
            yield Program(process)
        finally:
            process.kill()


def test_a_stall_its_end_and_a_missed_deadline_are_events_and_gauges_while_they_last(
    program: Program, eventually: Eventually
) -> None:
    stalled, late = "midspan_operation_stalled", "midspan_operation_past_deadline"
    assert program.gauge("midspan_operation_stall_after_seconds") == {"patient": 600.0, "stuck": 1.2}
    eventually(lambda: "stall" in program.kinds("stuck"), 20.0)
    stall = program.of("stuck")[-1]
    assert (stall["midspan.stalled"], stall["midspan.past_deadline"]) == (True, True)
    assert stall["midspan.progress"] == 0.5
    assert program.gauge(stalled) == {"patient": 0, "stuck": 1}
    assert program.gauge(late) == {"patient": 0, "stuck": 1}
    program.go_on()
    eventually(lambda: program.kinds("stuck")[-1] == "resume", 20.0)
    assert "midspan.stalled" not in program.of("stuck")[-1]
    assert program.gauge(stalled) == {"patient": 0, "stuck": 0}
    program.go_on()
    program.end()
    assert program.kinds("stuck")[0] == "start"
    assert program.kinds("stuck")[-1] == "end"
    assert [program.of(name)[-1]["midspan.past_deadline"] for name in ("stuck", "patient")] == [True, False]
    assert "stall" not in program.kinds("patient")


def test_an_estimate_beyond_the_deadline_is_told_while_there_is_time(program: Program, eventually: Eventually) -> None:
    eventually(lambda: any("midspan.will_miss_deadline" in event for event in program.of("patient")), 20.0)
    told = next(event for event in program.of("patient") if "midspan.will_miss_deadline" in event)
    assert (told["midspan.will_miss_deadline"], told["midspan.past_deadline"]) == (True, False)
    for _ in range(2):
        program.go_on()
    program.end()
