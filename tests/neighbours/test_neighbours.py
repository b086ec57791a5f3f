"""One GenAI span a call, theirs, with our progress on it; one operation; who leaves, leaves the other working."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from typing import Any

import pytest

from tests.neighbours.neighbours import NEIGHBOURS, Json

NAME = os.environ["NEIGHBOUR"]
NEIGHBOUR = NEIGHBOURS[NAME].make()
ALONE = "theirs use probe -theirs probe"
OURS_FIRST = "ours theirs use -ours probe -theirs probe"
THEIRS_FIRST = "theirs ours use -theirs probe -ours probe"
OURS_FIRST_THEIRS_LEAVE = "ours theirs probe -theirs probe -ours probe"
THEIRS_FIRST_OURS_LEAVE = "theirs ours probe -ours probe -theirs probe"
ENDS = {
    "refused": "failed",
    "async refused": "failed",
    "cut": "failed",
    "stream cut": "failed",
    "stream closed": "cancelled",
}
ONLY_SPANS = ["theirs mirror probe", "theirs exporter probe"]
OURS = "midspan"

both_orders = pytest.mark.parametrize("plan", [OURS_FIRST, THEIRS_FIRST], ids=["ours first", "theirs first"])
ours_leave = pytest.mark.parametrize("plan", [OURS_FIRST, THEIRS_FIRST_OURS_LEAVE], ids=["ours first", "theirs first"])
theirs_leave = pytest.mark.parametrize(
    "plan", [OURS_FIRST_THEIRS_LEAVE, THEIRS_FIRST], ids=["ours first", "theirs first"]
)
adopts = pytest.mark.skipif(NAME == "native", reason="its calls are not instrumented, only mirrored")
can_leave = pytest.mark.skipif(NAME == "native", reason="the SDK itself never leaves")


@cache
def ran(plan: str) -> Json:
    """What an application with this plan reports; each plan is run once."""
    command = [sys.executable, "-m", "tests.neighbours.app", NAME, plan]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def use(plan: str, number: int = 0) -> Json:
    """The calls of the plan's first `use` or `probe`, or of a later one."""
    return ran(plan)["uses"][number]["calls"]


def theirs(call: Json) -> list[Json]:
    return [span for span in call["spans"] if span["scope"] != OURS]


def ours(call: Json) -> list[Json]:
    return [span for span in call["spans"] if span["scope"] == OURS]


def adopted(call: Json) -> Json:
    """The one span of theirs that is the operation's."""
    (operation,) = call["operations"]
    (span,) = [span for span in call["spans"] if span["span_id"] == operation["span_id"]]
    return span


def shape(span: Json) -> tuple[Any, ...]:
    """All of a span that is the same at each run, without what is ours."""
    names = sorted(name for name in span["attributes"] if not name.startswith("midspan."))
    events = [event for event in span["events"] if not event.startswith("midspan.")]
    return span["scope"], span["name"], span["kind"], span["status"], names, events


def shapes(calls: Json) -> dict[str, list[tuple[Any, ...]]]:
    return {name: [shape(span) for span in theirs(call)] for name, call in calls.items()}


def test_alone_the_neighbour_makes_a_span_for_each_call() -> None:
    for name, call in use(ALONE).items():
        assert call["spans"], name
        assert {span["scope"].startswith(NEIGHBOUR.scope) for span in call["spans"]} == {True}, name
        assert call["operations"] == [], name


@both_orders
def test_the_application_sees_what_it_sees_with_the_neighbour_alone(plan: str) -> None:
    assert {name: call["outcome"] for name, call in use(plan).items()} == {
        name: call["outcome"] for name, call in use(ALONE).items()
    }


@both_orders
def test_their_spans_are_what_they_are_without_us(plan: str) -> None:
    assert shapes(use(plan)) == shapes(use(ALONE))


@both_orders
def test_no_span_is_added_to_theirs(plan: str) -> None:
    added = {name for name, call in use(plan).items() if ours(call)}
    # A span that is made when the call is over cannot be found while it runs.
    assert added == set(NEIGHBOUR.made_afterwards)


@both_orders
def test_each_call_is_one_operation_with_the_right_ending(plan: str) -> None:
    found = {name: [operation["status"] for operation in call["operations"]] for name, call in use(plan).items()}
    assert found == {name: [NEIGHBOUR.endings.get(name, ENDS.get(name, "completed"))] for name in found}


@adopts
@both_orders
def test_the_operation_is_on_one_span_of_theirs(plan: str) -> None:
    for name, call in use(plan).items():
        if name not in NEIGHBOUR.made_afterwards:
            span = adopted(call)
            assert span["scope"].startswith(NEIGHBOUR.scope), name
            (operation,) = call["operations"]
            assert span["attributes"]["midspan.operation.id"] == operation["operation_id"], name
            others = [other for other in call["spans"] if other is not span]
            assert not any(key.startswith("midspan.") for other in others for key in other["attributes"]), name


@adopts
@both_orders
def test_the_ending_is_on_each_span_that_is_still_open_then(plan: str) -> None:
    told = {}
    for name, call in use(plan).items():
        if name not in NEIGHBOUR.made_afterwards:
            told[name] = adopted(call)["attributes"].get("midspan.operation.status")
    expected = {name: ENDS.get(name, "completed") for name in told}
    assert told == {**expected, **{name: None for name in NEIGHBOUR.ended_before_us if name in told}}


@adopts
@pytest.mark.parametrize("name", ["slow call", "slow stream"])
@both_orders
def test_a_call_longer_than_a_second_has_progress_events_on_their_span(plan: str, name: str) -> None:
    events = [event for event in adopted(use(plan)[name])["events"] if event.startswith("midspan.")]
    if name == "slow stream" and name in NEIGHBOUR.ended_before_us:
        assert events == []
    else:
        assert events[:2] == ["midspan.operation.start", "midspan.operation.update"]
        assert (events[-1] == "midspan.operation.end") == (name not in NEIGHBOUR.ended_before_us)


@adopts
@both_orders
def test_a_failed_call_has_its_ending_as_an_event_on_their_span(plan: str) -> None:
    failed = [name for name, status in ENDS.items() if status == "failed" and name not in NEIGHBOUR.ended_before_us]
    events = {name: adopted(use(plan)[name])["events"] for name in failed}
    assert {name: found.count("midspan.operation.end") for name, found in events.items()} == dict.fromkeys(failed, 1)


@both_orders
def test_no_metric_of_theirs_is_recorded_twice(plan: str) -> None:
    metrics = dict(ran(plan)["uses"][0]["metrics"])
    own = metrics.pop(OURS, {})
    assert metrics == ran(ALONE)["uses"][0]["metrics"]
    # The conventions' metrics are for spans of our own only.
    assert own.get("gen_ai.client.operation.duration", 0) == len(NEIGHBOUR.made_afterwards)


@pytest.mark.parametrize("plan", [OURS_FIRST, THEIRS_FIRST, OURS_FIRST_THEIRS_LEAVE, THEIRS_FIRST_OURS_LEAVE])
def test_nothing_is_logged_that_is_not_logged_without_us(plan: str) -> None:
    assert set(ran(plan)["log"]) <= set(ran(ALONE)["log"])


@ours_leave
def test_when_ours_is_gone_theirs_works_as_before(plan: str) -> None:
    calls = use(plan, 1)
    assert shapes(calls) == shapes(use(ALONE, 1))
    assert [call["operations"] for call in calls.values()] == [[], [], []]
    attributes = [key for call in calls.values() for span in call["spans"] for key in span["attributes"]]
    assert not any(key.startswith("midspan.") for key in attributes)


@can_leave
@theirs_leave
def test_when_theirs_is_gone_ours_works(plan: str) -> None:
    for name, call in use(plan, 1).items():
        assert [operation["status"] for operation in call["operations"]] == ["completed"], name
        if NEIGHBOUR.leaves:
            assert [span["scope"] for span in call["spans"]] == [OURS], name
            assert call["operations"][0]["span_id"] == call["spans"][0]["span_id"], name
        else:
            assert shape(adopted(call)) in shapes(use(ALONE, 2))[name], name


@pytest.mark.parametrize("plan", [OURS_FIRST, THEIRS_FIRST, OURS_FIRST_THEIRS_LEAVE, THEIRS_FIRST_OURS_LEAVE])
def test_when_both_are_gone_nothing_of_ours_is_left(plan: str) -> None:
    calls = use(plan, 2)
    assert shapes(calls) == shapes(use(ALONE, 2))
    assert [call["operations"] for call in calls.values()] == [[], [], []]
    assert not any(ours(call) for call in calls.values())
    assert ran(plan)["restored"] is ran(ALONE)["restored"]


@pytest.mark.parametrize("plan", ONLY_SPANS, ids=["while they run", "when they have ended"])
def test_where_nothing_is_patched_each_call_is_one_operation_by_its_span(plan: str) -> None:
    calls = use(plan)
    assert shapes(calls) == shapes(use(ALONE, 1))
    for name, call in calls.items():
        assert [operation["status"] for operation in call["operations"]] == ["completed"], name
        assert call["operations"][0]["span_id"] in [span["span_id"] for span in theirs(call)], name
        assert call["operations"][0]["model"] == "ok", name
