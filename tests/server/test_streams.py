from __future__ import annotations

import pytest

from tests.server.live import events

ONE = "/v1/operations/a/stream"


@pytest.fixture
def tracker(registry):
    return registry.create_tracker("a", total_steps=4)


def event_id(tracker) -> str:
    operation = tracker.get_progress_details()
    return f"{operation.epoch}-{operation.sequence}"


# --- one operation ------------------------------------------------------------------------------


def test_a_stream_of_one_begins_with_the_row_of_the_resource_api(client, tracker) -> None:
    tracker.enter_stage("one")
    with events(client, ONE) as stream:
        first = stream.next()
        assert (first.name, first.id) == ("snapshot", event_id(tracker))
        assert first.json == client.get("/v1/operations/a").json()


def test_changes_follow_without_the_history_and_the_ending_with_it(client, tracker) -> None:
    with events(client, ONE) as stream:
        stream.next()
        tracker.enter_stage("one")
        update = stream.next()
        assert (update.name, update.id, update.json["stage"]) == ("update", event_id(tracker), "one")
        assert "history" not in update.json
        tracker.complete()
        (end,) = stream.rest()
    assert (end.name, end.id, end.json["status"]) == ("end", event_id(tracker), "completed")
    assert [event["type"] for event in end.json["history"]] == ["start", "stage", "end"]


def test_quiet_progress_comes_with_the_pulse(client, tracker, registry, clock) -> None:
    tracker.start()
    with events(client, ONE) as stream:
        stream.next()
        tracker.update(1)
        tracker.update(3)
        registry.pulse(clock())
        update = stream.next()
    assert (update.json["step"], update.json["progress"]) == (3, 0.75)


def test_no_event_is_sent_twice_or_goes_back(client, tracker) -> None:
    with events(client, ONE) as stream:
        stream.next()
        for number in range(200):
            tracker.enter_stage(f"stage-{number}")
        tracker.complete()
        sequences = [int((event.id or "").split("-")[1]) for event in stream.rest()]
    assert sequences == sorted(set(sequences))


def test_an_operation_that_has_ended_is_shown_and_ends(client, tracker) -> None:
    tracker.complete()
    with events(client, ONE) as stream:
        assert [event.name for event in stream.rest()] == ["snapshot", "end"]


@pytest.mark.parametrize("how", ["header", "last_event_id", "after"])
def test_who_has_seen_the_ending_gets_204_so_that_it_does_not_come_back(client, tracker, how: str) -> None:
    tracker.complete()
    last = event_id(tracker)
    if how == "header":
        answer = client.get(ONE, headers={"Last-Event-ID": last})
    else:
        answer = client.get(ONE, params={how: last})
    assert (answer.status_code, answer.content) == (204, b"")


def test_a_reader_that_comes_back_goes_on_where_it_was(client, tracker) -> None:
    tracker.enter_stage("one")
    last = event_id(tracker)
    tracker.enter_stage("two")
    tracker.enter_stage("three")
    tracker.complete()
    with events(client, ONE, Last_Event_ID=last) as stream:
        seen = [(event.name, event.json["stage"]) for event in stream.rest()]
    assert seen == [("update", "two"), ("update", "three"), ("end", "three")]


def test_a_reader_that_has_missed_nothing_is_told_nothing_until_something_happens(client, tracker) -> None:
    tracker.enter_stage("one")
    with events(client, ONE, Last_Event_ID=event_id(tracker)) as stream:
        assert next(iter(stream)).comments == ["open"]
        tracker.enter_stage("two")
        assert stream.next().json["stage"] == "two"


@pytest.mark.parametrize("last", ["1-1", "rubbish", "1-2-3"])
def test_a_reader_whose_place_is_gone_is_told_so_and_begins_again(client, tracker, last: str) -> None:
    tracker.enter_stage("one")
    with events(client, ONE, Last_Event_ID=last) as stream:
        assert [stream.next().name, stream.next().name] == ["reset", "snapshot"]


def test_an_unknown_operation_is_a_problem(client) -> None:
    answer = client.get(ONE)
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:midspan:problem:operation-not-found")


@pytest.mark.parametrize(("path", "parameter"), [(ONE, "after"), (ONE, "last_event_id"), ("/v1/stream", "after")])
def test_a_parameter_that_is_no_event_id_is_refused_by_its_name(client, tracker, path: str, parameter: str) -> None:
    tracker.start()
    answer = client.get(path, params={parameter: "rubbish"})
    assert (answer.status_code, answer.json()["parameter"]) == (400, parameter)


@pytest.mark.parametrize("path", [ONE, "/v1/stream"])
def test_an_unknown_parameter_is_refused(client, tracker, path: str) -> None:
    tracker.start()
    answer = client.get(path, params={"filter": "x"})
    assert (answer.status_code, answer.json()["parameter"]) == (400, "filter")


@pytest.mark.parametrize("path", [ONE, "/v1/stream"])
def test_head_opens_no_stream(client, tracker, path: str) -> None:
    answer = client.head(path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    assert answer.headers["x-content-type-options"] == "nosniff"


# --- many ---------------------------------------------------------------------------------------


def test_a_stream_of_many_begins_with_what_runs_and_tells_every_change(client, registry) -> None:
    first = registry.create_tracker("a")
    first.start()
    registry.create_tracker("old").complete()
    with events(client, "/v1/stream") as stream:
        snapshot = stream.next()
        assert (snapshot.name, snapshot.json["complete"]) == ("snapshot", True)
        assert [row["operation_id"] for row in snapshot.json["operations"]] == ["a"]
        registry.create_tracker("b").start()
        assert stream.until("update", "b").json["status"] in ("pending", "running")
        first.complete()
        assert stream.until("end", "a").json["status"] == "completed"


def test_a_stream_of_many_is_filtered_like_a_list(client, registry) -> None:
    registry.create_tracker("a", "batch").start()
    with events(client, "/v1/stream?type=batch&status=running") as stream:
        assert [row["operation_id"] for row in stream.next().json["operations"]] == ["a"]
        registry.create_tracker("x", "general").start()
        registry.create_tracker("b", "batch").start()
        assert stream.next().json["operation_id"] == "b"
        registry.get_tracker("b").complete()
        assert stream.until("end", "b").json["status"] == "completed"


def test_one_stream_can_follow_certain_operations_that_have_ended_too(client, registry) -> None:
    for name in ("a", "b", "c"):
        registry.create_tracker(name).complete()
    with events(client, "/v1/stream?ids=a,b") as stream:
        assert {row["operation_id"] for row in stream.next().json["operations"]} == {"a", "b"}


def test_a_reader_of_many_that_comes_back_goes_on_where_it_was(client, registry, clock) -> None:
    tracker = registry.create_tracker("a")
    with events(client, "/v1/stream") as stream:
        last = stream.next().id
    clock.advance(1)
    tracker.complete()
    registry.create_tracker("b").start()
    with events(client, "/v1/stream", Last_Event_ID=last) as stream:
        seen = {(event.name, event.json["operation_id"]) for event in (stream.next(), stream.next())}
        registry.get_tracker("b").complete()
        assert stream.next().json["status"] == "completed"
    assert seen == {("end", "a"), ("update", "b")}


def test_a_reader_of_many_from_another_server_is_told_so_and_begins_again(client, registry) -> None:
    with events(client, "/v1/stream", Last_Event_ID="12-34") as stream:
        assert [stream.next().name, stream.next().name] == ["reset", "snapshot"]


def test_text_from_outside_cannot_break_a_frame(client, registry) -> None:
    tracker = registry.create_tracker("a", name="x\r\n\r\nevent: end\ndata: {}\n\n")
    with events(client, ONE) as stream:
        stream.next()
        tracker.enter_stage("s\n\nevent: bye", "one\r\ndata: two\n\nevent: end\u2028\u202e")
        update = stream.next()
        assert update.name == "update"
        assert not set("\r\n\u2028\u202e") & set(update.json["message"] + update.json["stage"] + update.json["name"])


def test_a_large_snapshot_goes_on_as_changes(client, registry) -> None:
    names = {f"op-{number}" for number in range(60)}
    for name in names:
        registry.create_tracker(name).update(1, "x" * 500, **{f"key-{number}": "v" * 250 for number in range(32)})
    with events(client, "/v1/stream") as stream:
        snapshot = stream.next()
        assert (snapshot.json["complete"], len(snapshot.data or "") < 100_000) == (True, True)
        seen = {row["operation_id"] for row in snapshot.json["operations"]}
        while seen != names:
            seen.add(stream.next().json["operation_id"])
