"""`MIDSPAN_LOG=json`: one line an event on standard error, whatever has become of that."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider

from midspan.telemetry.event_queue import EventQueue
from midspan.telemetry.log_lines import MAX_LINE, WAITING, LogLines
from midspan.telemetry.spans import SpanRecorder
from midspan.testing import FakeClock
from midspan.tracking.tracker import ProgressRegistry

PROGRAM = """
import os, sys
import midspan
midspan.instrument(providers=["-openai"], server="off")
tracker = midspan.ProgressTracker(name="sort")
{action}
tracker.fail(ValueError("gone"))
print("the app goes on", flush=True)
"""


class Pipe:
    """A pipe, read without waiting."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)

    def read(self) -> bytes:
        found = b""
        while True:
            try:
                part = os.read(self.reader, 1 << 20)
            except BlockingIOError:
                return found
            if not part:
                return found
            found += part

    def close(self) -> None:
        for descriptor in (self.reader, self.writer):
            with suppress(OSError):
                os.close(descriptor)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    made.close()


def lines_into(registry: ProgressRegistry, provider: TracerProvider, descriptor: int) -> EventQueue:
    queue = EventQueue(registry, [LogLines(descriptor)])
    registry.add_processor(SpanRecorder(registry, tracer_provider=provider, events=False, queue=queue))
    return queue


@pytest.fixture
def queue(registry: ProgressRegistry, provider: TracerProvider, pipe: Pipe) -> EventQueue:
    return lines_into(registry, provider, pipe.writer)


def rows(written: bytes) -> list[dict[str, Any]]:
    assert written.endswith(b"\n")
    return [json.loads(line) for line in written.splitlines()]


def test_each_event_is_a_line_with_its_fields_and_trace_ids(
    registry: ProgressRegistry, clock: FakeClock, queue: EventQueue, pipe: Pipe
) -> None:
    tracker = registry.create_tracker("op-1", name="sort", total_steps=4, deadline=60)
    clock.advance(2.0)
    tracker.update(1, 'a "quoted" message')
    registry.pulse(clock.now)
    queue.flush()
    start, update = rows(pipe.read())
    assert start["event"] == "midspan.operation.start"
    assert update == {
        "timestamp": "2023-11-14T22:13:22.000Z",
        "severity": "INFO",
        "event": "midspan.operation.update",
        "body": "sort 25 %",
        "trace_id": tracker.state.trace_id,
        "span_id": tracker.state.span_id,
        "midspan.operation.id": "op-1",
        "midspan.operation.type": "general",
        "midspan.operation.name": "sort",
        "midspan.sequence": 2,
        "midspan.progress": 0.25,
        "midspan.step.index": 1,
        "midspan.step.count": 4,
        "midspan.message": 'a "quoted" message',
        "midspan.past_deadline": False,
    }


def test_whatever_an_operation_says_it_is_one_line_that_a_pipe_takes_at_once(
    registry: ProgressRegistry, clock: FakeClock, queue: EventQueue, pipe: Pipe
) -> None:
    for text in ('"\\' * 500_000, "\n{}\r\n", "\x1b[31m\u202e", "\U0001f600" * 1_000_000, "\ud800", "a" * 1_000_000):
        tracker = registry.create_tracker(name=text, operation_type=text, stall_after=1)
        tracker.enter_stage(text)
        clock.advance(2.0)
        tracker.update(1, text)
        registry.pulse(clock.now)
        tracker.fail(ValueError(text))
    queue.flush()
    written = pipe.read()
    assert {row["event"].rpartition(".")[2] for row in rows(written)} == {"start", "update", "end"}
    assert max(len(line) for line in written.splitlines(keepends=True)) <= MAX_LINE


def test_a_reader_that_does_not_read_is_not_waited_for_and_gets_the_newest_later(
    registry: ProgressRegistry, queue: EventQueue, pipe: Pipe
) -> None:
    count = WAITING + 1_000
    for number in range(count):
        registry.create_tracker(f"op-{number}", name="n" * 100).fail("m" * 200)
        if number % 100 == 0:
            queue.flush()
    queue.flush()
    early = rows(pipe.read())
    assert 10 < len(early) < count - WAITING
    late = list[dict[str, Any]]()
    while True:
        queue.flush()
        written = pipe.read()
        if not written:
            break
        late += rows(written)
    assert [row["midspan.operation.id"] for row in late] == [f"op-{number}" for number in range(count)][-WAITING:]


@pytest.mark.parametrize("side", ["reader", "writer"])
def test_a_pipe_that_is_closed_takes_nothing_and_hurts_nobody(
    registry: ProgressRegistry, queue: EventQueue, pipe: Pipe, side: str
) -> None:
    os.close(getattr(pipe, side))
    registry.create_tracker().fail("gone")
    queue.flush()
    registry.create_tracker().fail("gone")
    queue.flush()
    assert registry.retention.all()


def test_a_closed_pipe_does_not_end_an_app_that_has_the_signals_default_disposition(
    registry: ProgressRegistry, queue: EventQueue, pipe: Pipe
) -> None:
    before = signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        os.close(pipe.reader)
        registry.create_tracker().fail("gone")
        queue.flush()
    finally:
        signal.signal(signal.SIGPIPE, before)
    assert signal.SIGPIPE not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_nothing_is_written_to_another_file_under_the_old_number(
    registry: ProgressRegistry, queue: EventQueue, pipe: Pipe, tmp_path: Path
) -> None:
    database = tmp_path / "database"
    other = os.open(database, os.O_RDWR | os.O_CREAT)
    os.dup2(other, pipe.writer)
    os.close(other)
    registry.create_tracker().fail("gone")
    queue.flush()
    assert database.read_bytes() == b""


def test_a_log_file_that_takes_its_place_is_written_to(
    registry: ProgressRegistry, queue: EventQueue, pipe: Pipe, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    other = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(other, pipe.writer)
    os.close(other)
    registry.create_tracker().fail("gone")
    queue.flush()
    assert len(rows(log.read_bytes())) == 1


def test_beats_in_two_threads_write_each_line_once(registry: ProgressRegistry, queue: EventQueue, pipe: Pipe) -> None:
    for number in range(100):
        registry.create_tracker(f"op-{number}").fail("gone")
    threads = [threading.Thread(target=queue.flush) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    queue.flush()
    ids = [row["midspan.operation.id"] for row in rows(pipe.read())]
    assert sorted(ids) == sorted({f"op-{number}" for number in range(100)})


def run(action: str, **variables: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM.format(action=action)],
        env={**os.environ, **variables},
        capture_output=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("events", ["span,log", "none"])
def test_the_setting_is_all_it_takes(events: str) -> None:
    done = run("", MIDSPAN_LOG="json", MIDSPAN_EVENTS=events)
    (row,) = rows(done.stderr)
    assert (row["event"], row["severity"], row["error.type"]) == ("midspan.operation.end", "WARN", "ValueError")
    assert done.stdout == b"the app goes on\n"


def test_without_the_setting_nothing_is_written() -> None:
    assert run("").stderr == b""


@pytest.mark.parametrize("action", ["os.close(2)", "sys.stderr.close()", "sys.stderr = None"])
def test_an_app_that_closes_its_standard_error_goes_on(action: str) -> None:
    done = run(action, MIDSPAN_LOG="json")
    assert (done.returncode, done.stdout) == (0, b"the app goes on\n")
