"""Transitions, as walks through random changes: what always holds, whatever is written in whichever order."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from midspan.core import call_transitions, transitions
from midspan.core.operation import Operation, Stage, Status
from midspan.core.snapshot import snapshot
from midspan.core.state import HISTORY_LIMIT, Counts, FailedAttempt, State
from midspan.core.wire import encode, pack, unpack

NOW = 1_700_000_000.0


def a_state(**facts: object) -> State:
    state = State("op", "general", "op", NOW)
    for name, value in facts.items():
        setattr(state, name, value)
    return state


def random_change(state: State, now: float, choose: random.Random) -> int:
    """One change with values in and out of range."""
    changes = [
        lambda: transitions.update(state, now, step=choose.randint(-2, 14)),
        lambda: transitions.update(state, now, progress=choose.uniform(-0.5, 1.5)),
        lambda: transitions.update(state, now, progress=float("nan")),
        lambda: transitions.update(state, now, message="m" * choose.randint(0, 2000), data={"k": choose.random()}),
        lambda: transitions.advance(state, now, choose.choice([1, 2.5, -1]), choose.choice([None, "failed"])),
        lambda: transitions.set_total(state, choose.choice([None, -1, 0, 7, 20])),
        lambda: transitions.set_total_steps(state, choose.randint(-3, 20)),
        lambda: transitions.enter_stage(state, now, choose.choice(["a", "b", "streaming_response"])),
        lambda: transitions.request_cancel(state, now),
        lambda: call_transitions.record_usage(state, 3, choose.randint(0, 9)),
    ]
    return choose.choice(changes)()


def walk(state: State, seed: int, length: int = 150) -> list[Operation]:
    """Snapshots after each of many random changes, the last of which may be an ending."""
    choose, now, seen = random.Random(seed), NOW, []
    end_at = choose.randint(0, 2 * length)
    for number in range(length):
        now += choose.choice([0.0, 0.01, 5.0])
        if number == end_at:
            transitions.end(state, now, choose.choice([Status.COMPLETED, Status.FAILED, Status.CANCELLED]))
        random_change(state, now, choose)
        seen.append(snapshot(state, now))
    return seen


@pytest.mark.parametrize("seed", range(40))
def test_what_holds_on_every_walk(seed: int) -> None:
    seen = walk(a_state(total_steps=10), seed)
    for operation in seen:
        assert operation.progress is None or 0.0 <= operation.progress <= 1.0
        assert len(operation.history) <= 64
        assert operation.message is None or len(operation.message) <= 512
        assert operation.elapsed_seconds >= 0.0
        assert operation.step is None or operation.step >= 0
        assert (operation.ended_at is not None) == operation.status.is_terminal
        assert unpack(pack(operation)) == operation
        assert encode(operation).startswith(b"{")


@pytest.mark.parametrize("seed", range(40))
def test_progress_never_falls_and_sequences_never_go_back(seed: int) -> None:
    seen = walk(a_state(total_steps=10), seed)
    for before, after in pairwise(seen):
        assert after.sequence >= before.sequence
        if before.status is not Status.COMPLETED and after.status is Status.COMPLETED:
            continue
        assert (after.progress or 0.0) >= (before.progress or 0.0)


@pytest.mark.parametrize("seed", range(40))
def test_terminal_is_final(seed: int) -> None:
    state = a_state(total_steps=10)
    walk(state, seed, 30)
    transitions.end(state, NOW + 1000, Status.FAILED, "first")
    ended = snapshot(state, NOW + 1000)
    dropped = state.dropped
    choose = random.Random(seed)
    accepted = [random_change(state, NOW + 2000, choose) for _ in range(50)]
    accepted.append(transitions.end(state, NOW + 2000, Status.COMPLETED, "second"))
    assert set(accepted) == {transitions.NONE}
    assert snapshot(state, NOW + 3000) == ended
    assert state.dropped > dropped


def test_an_ended_operation_keeps_its_stages_and_ending_among_eight_events() -> None:
    state = a_state(total_steps=100)
    for step in range(50):
        transitions.update(state, NOW + step, step=step)
    transitions.enter_stage(state, NOW + 51, "late")
    transitions.end(state, NOW + 52, Status.COMPLETED)
    history = snapshot(state, NOW + 60).history
    assert len(history) == 8
    assert [event.type for event in history][-2:] == ["stage", "end"]


def test_entering_the_same_stage_again_is_no_change() -> None:
    state = a_state()
    assert transitions.enter_stage(state, NOW, "a") == transitions.LOUD
    assert transitions.enter_stage(state, NOW + 1, "a") == transitions.NONE
    assert state.stages_completed == []


def test_stages_have_durations() -> None:
    state = a_state()
    transitions.enter_stage(state, NOW, "a")
    transitions.enter_stage(state, NOW + 2, "b")
    transitions.end(state, NOW + 5, Status.COMPLETED)
    assert state.stage_times == [("a", 2.0), ("b", 3.0)]
    assert state.stages_completed == ["a", "b"]


def test_what_a_stream_has_counted_is_taken_over() -> None:
    counts = Counts()
    state = a_state(counts=counts)
    transitions.start(state, NOW)
    counts.singles, counts.others, counts.bytes = 4, 1, 100
    assert transitions.absorb(state, NOW + 1) == transitions.QUIET
    assert transitions.absorb(state, NOW + 2) == transitions.NONE
    operation = snapshot(state, NOW + 2)
    assert (operation.chunks, operation.bytes, operation.progressed_at) == (5, 100, NOW + 1)
    assert operation.tokens is not None
    assert (operation.tokens.output, operation.tokens.estimated) == (4, True)


def test_a_chunk_counts_as_so_many_tokens_as_it_brings() -> None:
    counts = Counts()
    state = a_state(counts=counts)
    transitions.start(state, NOW)
    counts.singles = 2
    for tokens in (0, 5):
        counts.add(tokens)
    transitions.absorb(state, NOW + 1)
    operation = snapshot(state, NOW + 1)
    assert operation.tokens is not None
    assert (operation.chunks, operation.tokens.output) == (4, 7)


def test_the_servers_usage_wins_over_the_estimate() -> None:
    counts = Counts()
    state = a_state(counts=counts)
    transitions.start(state, NOW)
    call_transitions.record_usage(state, 7, 3)
    counts.singles = 9
    transitions.end(state, NOW + 1, Status.COMPLETED)
    tokens = snapshot(state, NOW + 1).tokens
    assert tokens is not None
    assert (tokens.input, tokens.output, tokens.estimated) == (7, 3, False)


def test_the_first_chunk_is_timed_once() -> None:
    state = a_state()
    transitions.start(state, NOW)
    call_transitions.first_chunk(state, NOW + 0.5, "streaming_response")
    call_transitions.first_chunk(state, NOW + 9, "streaming_response")
    assert snapshot(state, NOW + 10).time_to_first_chunk == 0.5


def test_a_retry_is_another_attempt_of_the_same_operation() -> None:
    state = a_state()
    transitions.start(state, NOW)
    transitions.retry(state, NOW + 1, 2)
    operation = snapshot(state, NOW + 1)
    assert (operation.attempt, operation.stage, operation.status) == (2, "sending_request", Status.RUNNING)
    assert operation.stages_completed == ("retrying",)


def test_between_two_attempts_it_is_known_what_is_waited_for_and_until_when() -> None:
    state = a_state()
    transitions.start(state, NOW)
    transitions.wait_to_retry(state, NOW + 1, 20.0, "rate_limit")
    waiting = snapshot(state, NOW + 2)
    assert (waiting.stage, waiting.waiting_for, waiting.next_retry_at) == ("retrying", "rate_limit", NOW + 21)
    transitions.retry(state, NOW + 21, 2)
    sent = snapshot(state, NOW + 21)
    assert (sent.stage, sent.waiting_for, sent.next_retry_at) == ("sending_request", None, None)
    assert dict(state.stage_times)["retrying"] == 20.0


def test_stages_that_were_noted_are_entered_at_their_own_times_and_in_order() -> None:
    counts = Counts()
    state = a_state(counts=counts)
    transitions.enter_stage(state, NOW, "sending_request")
    counts.passed = [(NOW + 1, "waiting_first_chunk"), (NOW + 4, "processing_response")]
    assert transitions.absorb(state, NOW + 9) == transitions.LOUD
    transitions.end(state, NOW + 9, Status.COMPLETED)
    expected = [("sending_request", 1.0), ("waiting_first_chunk", 3.0), ("processing_response", 5.0)]
    assert expected == state.stage_times
    assert counts.passed == []


def test_a_stage_that_is_entered_comes_after_those_that_were_noted() -> None:
    state = a_state(counts=Counts())
    transitions.enter_stage(state, NOW, "sending_request")
    state.counts.passed = [(NOW + 1, "waiting_first_chunk")]  # type: ignore[union-attr]
    call_transitions.first_chunk(state, NOW + 2, "streaming_response")
    assert state.stages_completed == ["sending_request", "waiting_first_chunk"]


def test_a_connection_takes_the_place_of_the_sending_that_was_to_begin() -> None:
    state = a_state()
    transitions.enter_stage(state, NOW, "sending_request")
    assert call_transitions.connect(state, NOW + 1) == transitions.LOUD
    transitions.enter_stage(state, NOW + 3, "sending_request")
    assert state.stage_times == [("connecting_to_model", 3.0)]
    stages = [event.stage for event in snapshot(state, NOW + 3).history if event.type == "stage"]
    assert stages == ["connecting_to_model", "sending_request"]
    transitions.enter_stage(state, NOW + 4, "waiting_first_chunk")
    call_transitions.connect(state, NOW + 5)
    assert state.stages_completed == ["connecting_to_model", "sending_request", "waiting_first_chunk"]


FAILED = FailedAttempt(NOW + 1, "429", "rate_limit", NOW + 31)


def counts_of(failed: FailedAttempt) -> Counts:
    counts = Counts()
    counts.failed = failed
    return counts


def test_a_call_that_goes_on_after_a_failed_attempt_waits_for_the_next_one() -> None:
    state = a_state(counts=counts_of(FAILED))
    transitions.enter_stage(state, NOW, "sending_request")
    assert transitions.absorb(state, NOW + 1.01) == transitions.NONE
    assert transitions.absorb(state, NOW + 2) == transitions.LOUD
    waiting = snapshot(state, NOW + 2)
    assert (waiting.stage, waiting.waiting_for, waiting.status_reason) == ("retrying", "rate_limit", "429")
    assert waiting.next_retry_at == NOW + 31
    transitions.retry(state, NOW + 30, 2)
    assert (snapshot(state, NOW + 30).status_reason, state.next_retry_at) == (None, None)
    assert dict(state.stage_times)["retrying"] == 29.0


def test_a_call_that_ends_after_a_failed_attempt_has_not_waited() -> None:
    state = a_state(counts=counts_of(FAILED))
    transitions.enter_stage(state, NOW, "sending_request")
    transitions.end(state, NOW + 2, Status.FAILED)
    ended = snapshot(state, NOW + 2)
    assert (ended.stages_completed, ended.status_reason) == (("sending_request",), None)


def test_the_processing_of_a_prompt_is_progress_within_its_stage() -> None:
    state = a_state(max_tokens=10)
    transitions.enter_stage(state, NOW, "sending_request")
    seen: list[tuple[float | None, float | None]] = []
    for processed in (0, 256, 128, 512):
        call_transitions.process_prompt(state, NOW + 1, processed, 1024)
        operation = snapshot(state, NOW + 2)
        seen.append((operation.stage_progress, operation.progress))
        assert (operation.stage, operation.estimated_remaining_seconds) == ("waiting_first_chunk", None)
    assert seen == [(0.0, 0.0), (0.25, 0.0625), (0.25, 0.0625), (0.5, 0.125)]
    call_transitions.first_chunk(state, NOW + 3, "streaming_response")
    operation = snapshot(state, NOW + 3)
    assert (operation.stage_progress, operation.progress, operation.progress_source) == (None, 0.25, "stages")


@pytest.mark.parametrize(("processed", "total"), [(-1, 10), (11, 10), (0, 0)])
def test_a_part_of_a_prompt_that_cannot_be_is_dropped(processed: int, total: int) -> None:
    state = a_state()
    transitions.enter_stage(state, NOW, "sending_request")
    assert call_transitions.process_prompt(state, NOW, processed, total) == transitions.NONE
    assert (state.dropped, state.stage) == (1, "sending_request")


def test_a_stage_of_the_plan_gives_its_start_as_progress() -> None:
    state = a_state(plan={"a": (0.0, 0.25), "b": (0.25, 1.0)})
    transitions.enter_stage(state, NOW, "b")
    operation = snapshot(state, NOW)
    assert (operation.progress, operation.progress_source) == (0.25, "stages")


def test_of_many_changes_a_bounded_number_is_held_and_the_newest_are_shown() -> None:
    state = a_state()
    for step in range(1_000):
        transitions.update(state, NOW, step=step)
        assert len(state.history) <= transitions.MAX_HISTORY
    shown = snapshot(state, NOW).history
    assert [event.step for event in shown] == list(range(1_000 - HISTORY_LIMIT, 1_000))


def test_a_call_begins_as_any_operation_that_enters_its_first_stage() -> None:
    begun, entered = a_state(), a_state()
    call_transitions.begin(begun, NOW, Stage.SENDING_REQUEST)
    transitions.enter_stage(entered, NOW, Stage.SENDING_REQUEST)
    begun.lock = entered.lock
    assert {name: getattr(begun, name) for name in State.__slots__} == {
        name: getattr(entered, name) for name in State.__slots__
    }
