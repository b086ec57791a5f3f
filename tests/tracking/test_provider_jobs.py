"""Jobs at a provider: one operation each, with what is new of each sighting."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator

import pytest

from midspan.core import known_jobs
from midspan.core.operation import ErrorInfo, Operation, Status
from midspan.core.processor import Processor
from midspan.core.state import State
from midspan.runtime.process import end_running
from midspan.testing import Captured, FakeClock, capture
from midspan.tracking import provider_jobs
from midspan.tracking.job_reading import JobReading
from midspan.tracking.provider_jobs import ASKED, CREATED, LISTED, became_job, find_job, refused_job, saw_job
from midspan.tracking.tracker import ProgressTracker, get_progress_registry

STATES = {"runs": Status.RUNNING, "done": Status.COMPLETED, "broken": Status.FAILED}


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    made = FakeClock()
    monkeypatch.setattr(get_progress_registry(), "clock", made)
    return made


@pytest.fixture(autouse=True)
def seen() -> Iterator[Captured]:
    with capture() as captured:
        yield captured


def see(state: str | None = "runs", job_id: str = "job", how: str = ASKED, **more: object) -> State | None:
    return saw_job("acme", JobReading(job_id, state, **more), STATES, how)  # type: ignore[arg-type]


def only(seen: Captured) -> Operation:
    (operation,) = seen.operations
    return operation


def test_counts_are_told_in_all_and_never_twice(seen: Captured) -> None:
    for succeeded, failed in ((1, 0), (1, 0), (3, 1)):
        see(succeeded=succeeded, failed=failed, total=8, unit="row")
    operation = only(seen)
    assert (operation.completed, operation.total, operation.unit, operation.progress) == (4, 8, "row", 0.5)


def test_nothing_falls_back(seen: Captured) -> None:
    see(progress=0.5, step=5, total_steps=10)
    see(progress=0.2, step=2, total_steps=10)
    assert (only(seen).progress, only(seen).step) == (0.5, 5)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0, 2.0])
def test_figures_that_cannot_be_are_not_believed(seen: Captured, value: float) -> None:
    see(progress=value, completed=value, total=value, created_at=value, finish_at=value)
    operation = only(seen)
    assert operation.progress is None or 0.0 <= operation.progress <= 1.0
    assert operation.elapsed_seconds >= 0.0


def test_a_state_that_nobody_knows_is_the_reason_and_logged_once(
    seen: Captured, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider_jobs, "_unknown", set())
    with caplog.at_level(logging.WARNING, "midspan"):
        see("runs")
        see("melting")
        see("melting")
    operation = only(seen)
    assert (operation.status, operation.stage, operation.status_reason) == ("running", "runs", "melting")
    assert [record.getMessage() for record in caplog.records] == [
        "midspan: acme tells a state of a job that is not known here: 'melting'"
    ]
    see("runs")
    assert only(seen).status_reason is None


@pytest.mark.parametrize(
    ("how", "ended_before", "shown"),
    [(CREATED, None, True), (ASKED, 60, True), (ASKED, 2 * 86_400, False), (ASKED, None, False), (LISTED, 60, False)],
)
def test_a_job_that_had_ended_before_it_was_seen(
    seen: Captured, clock: FakeClock, how: str, ended_before: float | None, shown: bool
) -> None:
    at = None if ended_before is None else clock.now - ended_before
    see("done", how=how, created_at=clock.now - 3 * 86_400, ended_at=at)
    assert [each.status for each in seen.operations] == (["completed"] if shown else [])
    if at is not None and shown:
        assert only(seen).ended_at == at


def test_an_ending_that_is_heard_of_late_is_kept_as_long_as_any_other(seen: Captured, clock: FakeClock) -> None:
    registry = get_progress_registry()
    see("done", created_at=clock.now - 9_000, ended_at=clock.now - 8_000)
    registry.pulse(clock.advance(3_500))
    assert registry.get("job") is not None
    registry.pulse(clock.advance(200))
    assert registry.get("job") is None


def test_a_known_job_has_one_operation_after_its_end_too(seen: Captured) -> None:
    see("runs")
    see("done")
    see("runs")
    see("done", how=CREATED)
    assert only(seen).status == "completed"


def test_a_reading_without_a_state_is_for_known_jobs_only(seen: Captured) -> None:
    see(None, completed=1.0)
    assert seen.operations == []
    see("runs")
    see(None, added=3.0)
    see(None, added=4.0)
    assert only(seen).completed == 7


def test_the_message_of_an_error_is_content(seen: Captured) -> None:
    see("runs")
    see("broken", error=ErrorInfo(type="bad_line", message="what was asked"))
    assert only(seen).error == ErrorInfo(type="bad_line")


def test_while_nobody_looks_nobody_can_say_that_it_stands_still(seen: Captured, clock: FakeClock) -> None:
    def look(completed: float) -> bool:
        see("runs", completed=completed, progress=0.5)
        return only(seen).stalled

    assert not look(1.0)
    clock.advance(4 * 3_600)
    assert not only(seen).stalled
    assert look(1.0)
    assert not look(2.0)
    clock.advance(4 * 3_600)
    assert not only(seen).stalled


def test_sightings_are_taken_in_turn_by_one_thread() -> None:
    job = known_jobs.KnownJob[str](State("job", "batch", "batch", 0.0), 1.0)
    taken: list[str] = []
    for sighting in job.turns("first"):
        taken.append(sighting)
        if sighting == "first":
            assert list(job.turns("second")) == []
    assert taken == ["first", "second"]
    assert list(job.turns("third")) == ["third"]


def test_a_job_has_the_stall_limit_of_its_type_and_not_that_of_streams(
    seen: Captured, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(get_progress_registry(), "stall_after", {"": 1.0, "batch": 100.0})
    see("runs", "a", kind="batch")
    see("runs", "b", kind="video")
    clock.advance(200)
    see("runs", "a", kind="batch")
    see("runs", "b", kind="video")
    assert [each.stalled for each in seen.operations] == [True, False]


def test_at_the_end_of_the_process_the_job_goes_on_elsewhere(seen: Captured) -> None:
    see("runs")
    end_running(get_progress_registry())
    assert (only(seen).status, only(seen).status_reason) == ("cancelled", "left running at acme")


@pytest.mark.parametrize(
    ("job_id", "shown"),
    [("batches/1", "batches.1"), ("arn:aws:bedrock:eu:1:job/x", "arn:aws:bedrock:eu:1:job.x"), ("/_x", "x")],
)
def test_an_id_that_no_path_can_hold_is_shown_with_dots(seen: Captured, job_id: str, shown: str) -> None:
    see("runs", job_id)
    assert (only(seen).operation_id, only(seen).metadata) == (shown, {"job_id": job_id})
    assert find_job("acme", job_id) is not None


def test_an_id_that_is_taken_or_reserved_gives_the_operation_one_of_its_own(seen: Captured) -> None:
    ProgressTracker("job")
    see("runs")
    see("runs", "stream")
    assert all(len(each.operation_id) == 32 for each in seen.operations[1:])
    assert len(seen.operations) == 3


def test_two_providers_may_use_the_same_id(seen: Captured) -> None:
    see("runs")
    saw_job("other", JobReading("job", "runs"), STATES)
    assert len(seen.operations) == 2


def test_a_job_belongs_to_the_operation_around_the_call_that_saw_it_first(seen: Captured) -> None:
    with ProgressTracker("around"):
        see("runs")
    assert seen.operations[1].parent_id == "around"


def test_an_operation_goes_on_as_a_job_once(seen: Captured) -> None:
    tracker = ProgressTracker("call", "llm_request")
    assert became_job("acme", "job", tracker.state)
    assert not became_job("acme", "job", ProgressTracker("other").state)
    see("runs")
    see("done")
    assert tracker.get_progress_details().status == "completed"


def refuse(kind: str = "") -> None:
    refused_job("acme", JobReading("job", kind=kind), ErrorInfo(type="NotFound"))


def test_a_job_that_nobody_knows_is_a_failed_operation_once(seen: Captured) -> None:
    refuse("video")
    refuse("video")
    operation = only(seen)
    assert (operation.operation_type, operation.status, operation.stage) == ("video", "failed", "asked_for")
    assert operation.error == ErrorInfo(type="NotFound")


def test_what_may_be_asked_for_in_vain_is_no_operation(seen: Captured) -> None:
    refuse()
    assert seen.operations == []


def test_a_job_that_was_asked_for_too_soon_is_seen_when_it_appears() -> None:
    def status() -> str | None:
        operation = get_progress_registry().get("job")
        return None if operation is None else operation.status

    told = []
    for change in (lambda: refuse("batch"), lambda: see(None), lambda: see("runs"), refuse, lambda: see("runs")):
        change()
        told.append(status())
    assert told == ["failed", "failed", "running", "failed", "running"]


def test_a_forked_child_begins_with_no_job(seen: Captured) -> None:
    see("runs")
    get_progress_registry().forked()
    assert find_job("acme", "job") is None


def test_so_many_jobs_are_known_and_no_more(seen: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_jobs, "MAX_JOBS", 2)
    registry = get_progress_registry()
    for job_id in ("a", "b", "c"):
        see("runs", job_id)
    assert [each.operation_id for each in seen.operations] == ["a", "b"]
    assert registry.statistics.suppressed["jobs"] == 1
    see("done", "a")
    see("runs", "c")
    assert [each.operation_id for each in seen.operations] == ["a", "b", "c"]
    assert registry.known_jobs.forgotten == 1


class Intruder(Processor):
    """Another thread that sees the same job while its operation is being opened."""

    def __init__(self) -> None:
        self.started = False

    def on_start(self, state: State) -> None:
        if not self.started:
            self.started = True
            thread = threading.Thread(target=see, args=("done",))
            thread.start()
            thread.join()

    def on_update(self, state: State) -> None:
        """Nothing."""

    def on_end(self, state: State) -> None:
        """Nothing."""


def test_two_threads_that_see_a_job_first_make_one_operation_of_it(seen: Captured) -> None:
    intruder = Intruder()
    get_progress_registry().add_processor(intruder)
    try:
        see("runs")
    finally:
        get_progress_registry().remove_processor(intruder)
    assert only(seen).status == "completed"
    assert get_progress_registry().running() == []


def test_a_sighting_that_fails_does_not_hold_up_the_next(seen: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    see("runs")
    with monkeypatch.context() as patch:
        patch.setattr(provider_jobs, "take_over", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            see("done")
    see("done")
    assert only(seen).status == "completed"
