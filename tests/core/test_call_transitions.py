"""What a server tells of a call may be anything."""

from __future__ import annotations

import pytest

from midspan.core import call_transitions
from midspan.core.state import State

NOW = 1_700_000_000.0


@pytest.mark.parametrize("told", [-1, 2**70, "7", 1.5, True])
def test_a_count_that_is_none_is_dropped_and_the_others_are_kept(told: object) -> None:
    state = State("call", "llm_request", "chat", NOW)
    call_transitions.record_usage(state, 7, told, 2)  # pyright: ignore[reportArgumentType]
    assert (state.input_tokens, state.output_tokens, state.reasoning_tokens) == (7, None, 2)
    assert (state.tokens_reported, state.dropped) == (False, 1)
