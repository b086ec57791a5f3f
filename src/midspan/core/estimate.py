"""Progress and remaining time as functions of (state, now), each with its source, the time with a range.

Without history the best predictor for uneven work is the overall mean blended with a 30 s window.
"""

from __future__ import annotations

import math
from collections import deque

from midspan.core.operation import Estimate, Stage, Status
from midspan.core.stages import PROMPT_PLAN
from midspan.core.state import SAMPLE_LIMIT, State

WINDOW_SECONDS = 30.0
SAMPLE_SPACING = 1.0
SLOWEST = 1e-9
MAX_LEVELS = 32
"""Of operations below one another that are looked at: a chain of thousands is asked about once a second."""
SETTLED_SECONDS = 0.5
"""Before that a rate says more about the first chunk than about the rest."""

Progress = tuple[float | None, str | None]


def progress(state: State, levels: int = MAX_LEVELS) -> Progress:
    """(fraction, source), best source first; (None, None) when nothing is known. It never falls by default.

    `levels`: so far down operations below are asked anew; of those further down, what was known last counts.
    """
    value, source = _raw_progress(state, levels)
    if value is None:
        return (state.floor, "reported") if state.floor else (None, None)
    if state.allow_regress or value >= state.floor:
        return value, source
    return state.floor, source


def _raw_progress(state: State, levels: int) -> Progress:
    if state.reported is not None:
        return state.reported, "reported"
    if state.total:
        return min(1.0, (state.completed or 0.0) / state.total), "counts"
    if state.total_steps and state.step is not None:
        return min(1.0, state.step / state.total_steps), "counts"
    if state.expected_children:
        return (_children_progress(state, levels - 1) if levels else state.floor), "children"
    if state.plan and state.stage in state.plan:
        return _plan_progress(state, *state.plan[state.stage]), "stages"
    if state.max_tokens and state.output_tokens is not None:
        return min(1.0, state.output_tokens / state.max_tokens), "token_budget"
    return None, None


def _children_progress(state: State, levels: int) -> float:
    """Σ wᵢ·fᵢ / Σ wᵢ over ended, running and declared children; an ended child counts 1, an unknown one 0.

    One that is declared and has not started yet has the weight 1. Without a declared number there is no such progress:
    nobody knows what share of the whole the children seen so far are (docs/adr/0014).
    """
    running = [(child.weight, progress(child, levels)[0] or 0.0) for child in list((state.children or {}).values())]
    weight = state.children_weight + max(0, state.expected_children - state.children_started)
    done = state.children_done + sum(share * fraction for share, fraction in running)
    return min(1.0, done / weight) if weight else 0.0


def _plan_progress(state: State, start: float, end: float) -> float:
    if state.stage_progress is not None:
        return start + (end - start) * state.stage_progress
    if not (state.max_tokens and state.output_tokens):
        return start
    return start + (end - start) * min(1.0, state.output_tokens / state.max_tokens)


def sample(state: State, now: float, value: float) -> None:
    """Remember (now, value) for the window's rate; the next one is due a second later."""
    if state.samples is None:
        state.samples = deque(maxlen=SAMPLE_LIMIT)
    state.samples.append((now, value))
    state.sample_due = now + SAMPLE_SPACING


def remaining(state: State, fraction: Progress, now: float) -> tuple[float | None, Estimate | None]:
    """(seconds, estimate) still to go, or (None, None) when there is nothing to tell it from.

    A token budget is a limit, not a target: its range begins at 0. What the provider itself expects goes first.
    """
    if state.finish_at is not None and state.status is Status.RUNNING:
        seconds = round(max(0.0, state.finish_at - now), 3)
        return seconds, Estimate(low=seconds, high=seconds, method="provider")
    value, source = fraction
    begun = state.started_at
    if state.status is not Status.RUNNING or value is None or begun is None or source is None:
        return None, None
    if state.plan is PROMPT_PLAN and (state.stage_progress is not None or not state.max_tokens):
        # How long the answer takes has nothing to do with how long the prompt does.
        return None, None
    if source == "token_budget":
        if state.stage != Stage.STREAMING_RESPONSE:
            return None, None
        begun += state.time_to_first_chunk or 0.0
    if now - begun < SETTLED_SECONDS:
        return None, None
    rates = _rates(state, value, begun, now)
    if not rates or value <= 0.0:
        return None, None
    left = [(1.0 - value) / rate for rate in rates]
    point = (1.0 - value) / (sum(rates) / len(rates))
    spread = min(0.5, 1.0 / math.sqrt(max(1, len(state.samples or ()))))
    low = 0.0 if source == "token_budget" else min(left) * (1.0 - spread)
    return point, Estimate(low=round(low, 3), high=round(max(left) * (1.0 + spread), 3), method=source)


def note_first(state: State, now: float) -> None:
    """Keep the first estimate of an operation that is a second old: how far it was off is counted at the end."""
    if state.first_estimate is None and now - state.created_at >= 1.0:
        seconds, guess = remaining(state, progress(state), now)
        if seconds is not None and guess is not None:
            state.first_estimate = (now, seconds, guess.method)


def _rates(state: State, value: float, begun: float, now: float) -> list[float]:
    """Rates in progress per second that lead anywhere: over the whole time, and over the last 30 s."""
    window = [(at, seen) for at, seen in list(state.samples or ()) if now - at <= WINDOW_SECONDS]
    spans = [(begun, 0.0), *window[:1]]
    rates = [(value - seen) / (now - at) for at, seen in spans if now > at]
    return [rate for rate in rates if rate >= SLOWEST]


def stalled(state: State, now: float) -> bool:
    """True for a running operation whose last progress is older than its type's limit, in seconds.

    While an operation below it works, it works too: an agent says nothing itself while it waits for its model. What is
    nested deeper than anybody looks counts as working.
    """
    if state.status is not Status.RUNNING or not _is_still(state, now):
        return False
    level = [state]
    for _ in range(MAX_LEVELS):
        level = [child for each in level for child in _running_below(each)]
        if not level:
            return True
        if not all(_is_still(child, now) for child in level):
            return False
    return False


def _is_still(state: State, now: float) -> bool:
    return now - state.progressed_at > state.stall_after


def _running_below(state: State) -> list[State]:
    return [child for child in list((state.children or {}).values()) if child.status is Status.RUNNING]


def past_deadline(state: State, now: float) -> bool | None:
    """True when the deadline was over at `now`, or at the operation's end; None without a deadline."""
    if state.deadline_at is None:
        return None
    return (now if state.ended_at is None else state.ended_at) > state.deadline_at


def will_miss_deadline(state: State, seconds: float | None, now: float) -> bool | None:
    """Whether `seconds` still to go from `now` (see `remaining`) reach beyond the deadline.

    A deadline that is over is missed. None without a deadline, or when the remaining time is unknown.
    """
    if state.deadline_at is None or now > state.deadline_at:
        return past_deadline(state, now)
    return None if seconds is None else now + seconds > state.deadline_at


def token_rate(state: State, now: float) -> float | None:
    """Output tokens per second since the first chunk, or None before it and within its first half second."""
    if not state.output_tokens or state.time_to_first_chunk is None:
        return None
    begun = (state.started_at or state.created_at) + state.time_to_first_chunk
    seconds = (state.ended_at or now) - begun
    return state.output_tokens / seconds if seconds >= SETTLED_SECONDS or (state.ended_at and seconds > 0.0) else None
