"""A call's answer ends it as any ending does; the short way for the plain call must not show."""

from __future__ import annotations

import random

import pytest

from midspan.core import call_transitions, transitions
from midspan.core.operation import Operation, Stage, Status
from midspan.core.snapshot import snapshot
from midspan.core.state import Counts, State
from tests.core.test_transitions import random_change

NOW = 1_700_000_000.0
STAGES = (Stage.SENDING_REQUEST, Stage.WAITING_FIRST_CHUNK, Stage.PROCESSING_RESPONSE)


def a_call(seed: int) -> tuple[State, float]:
    """A call that has passed some stages, that has its usage and its size, and sometimes more: and what time it is."""
    choose, now = random.Random(seed), NOW
    state = State("call", "llm_request", "chat", now)
    state.counts = counts = Counts()
    call_transitions.begin(state, now, Stage.SENDING_REQUEST)
    for _ in range(choose.choice([0, 1, 1, 2, 5, 40])):
        now += choose.choice([0.0, 0.25])
        counts.passed = [*(counts.passed or ()), (now, choose.choice(STAGES))]
    counts.bytes = choose.choice([0, 0, 900])
    if choose.random() < 0.5:
        call_transitions.record_usage(state, 7, 3)
    if choose.random() < 0.3:
        random_change(state, now, choose)
    if choose.random() < 0.1:
        counts.singles, counts.others = choose.choice([(2, 0), (0, 2)])
    if choose.random() < 0.1:
        transitions.absorb(state, now)
    return state, now + 0.5


def shown(state: State) -> tuple[Operation, object, object]:
    return snapshot(state, NOW + 100.0), state.stage_times, (state.updates, state.reported, state.stage_since)


@pytest.mark.parametrize("seed", range(300))
def test_an_answered_call_is_what_it_would_be_after_any_other_ending(seed: int) -> None:
    state, now = a_call(seed)
    twin, _ = a_call(seed)
    assert call_transitions.answered(state, now) == transitions.end(twin, now, Status.COMPLETED)
    assert shown(state) == shown(twin)


def test_most_answered_calls_go_the_short_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_transitions, "end", lambda *_: pytest.fail("the long way"))
    state = State("call", "llm_request", "chat", NOW)
    state.counts = Counts()
    call_transitions.begin(state, NOW, Stage.SENDING_REQUEST)
    state.counts.passed = [(NOW + 1.0, Stage.PROCESSING_RESPONSE)]
    call_transitions.record_usage(state, 7, 3)
    assert call_transitions.answered(state, NOW + 2.0) == transitions.LOUD


def test_an_answer_to_a_call_that_is_over_is_dropped() -> None:
    state, now = a_call(1)
    transitions.end(state, now, Status.CANCELLED)
    assert call_transitions.answered(state, now + 1.0) == transitions.NONE
    assert (state.status, state.dropped) == (Status.CANCELLED, 1)


@pytest.mark.parametrize("told", [-1, 2**70, "7", 1.5, True])
def test_a_count_that_is_none_is_dropped_and_the_others_are_kept(told: object) -> None:
    state = State("call", "llm_request", "chat", NOW)
    call_transitions.record_usage(state, 7, told, 2)  # pyright: ignore[reportArgumentType]
    assert (state.input_tokens, state.output_tokens, state.reasoning_tokens) == (7, None, 2)
    assert (state.tokens_reported, state.dropped) == (False, 1)
