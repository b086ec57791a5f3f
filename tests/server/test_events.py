"""The history of one operation over HTTP."""

from __future__ import annotations

from midspan.core.state import HISTORY_LIMIT

URL = "/v1/operations/one/events"


def sequences(answer) -> list[int]:
    assert answer.status_code == 200, answer.text
    return [event["sequence"] for event in answer.json()["events"]]


def test_the_events_are_told_in_order(client, registry) -> None:
    tracker = registry.create_tracker("one", total_steps=4)
    tracker.update(1, "a")
    tracker.enter_stage("x")
    answer = client.get(URL)
    assert [event["type"] for event in answer.json()["events"]] == ["start", "update", "stage"]
    assert answer.json()["operation_id"] == "one"
    assert answer.json()["oldest_seq"] == 0
    assert answer.headers["retry-after"] == "1"


def test_only_events_beyond_a_sequence_are_told(client, registry) -> None:
    tracker = registry.create_tracker("one")
    for number in range(5):
        tracker.update(message=str(number))
    seen = sequences(client.get(URL))
    assert sequences(client.get(f"{URL}?after={seen[2]}")) == seen[3:]
    assert sequences(client.get(f"{URL}?after=1000")) == []


def test_events_that_a_long_run_has_pushed_out_are_gone(client, registry) -> None:
    tracker = registry.create_tracker("one")
    for number in range(HISTORY_LIMIT * 2):
        tracker.update(message=str(number))
    answer = client.get(f"{URL}?after=3")
    assert (answer.status_code, answer.headers["content-type"]) == (410, "application/problem+json")
    oldest = answer.json()["oldest_seq"]
    kept = sequences(client.get(f"{URL}?after={oldest - 1}"))
    assert (kept[0], len(kept)) == (oldest, HISTORY_LIMIT)
    assert sequences(client.get(URL)) == kept


def test_a_change_without_an_event_leaves_no_hole(client, registry) -> None:
    tracker = registry.create_tracker("one")
    tracker.update(message="a")
    for _ in range(200):
        tracker.advance()
    tracker.update(message="b")
    assert len(sequences(client.get(f"{URL}?after=0"))) == 3


def test_events_that_the_ending_has_condensed_are_gone(client, registry) -> None:
    tracker = registry.create_tracker("one")
    for number in range(40):
        tracker.update(message=str(number))
    tracker.complete()
    answer = client.get(f"{URL}?after=20")
    assert answer.status_code == 410
    last = sequences(client.get(f"{URL}?after={answer.json()['oldest_seq'] - 1}"))
    assert last == sorted(last) and last[-1] == registry.get("one").sequence


def test_eight_events_that_are_all_there_are_not_gone(client, registry) -> None:
    tracker = registry.create_tracker("one")
    for number in range(6):
        tracker.update(message=str(number))
    tracker.complete()
    assert sequences(client.get(f"{URL}?after=0")) == list(range(1, 9))


def test_a_wrong_sequence_and_an_unknown_operation_are_problems(client, registry) -> None:
    assert client.get(URL).status_code == 404
    registry.create_tracker("one")
    assert client.get(f"{URL}?after=x").json()["parameter"] == "after"
