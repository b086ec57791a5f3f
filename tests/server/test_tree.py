"""An operation with what is below it."""

from __future__ import annotations

import pytest

from midspan.server import tree as module
from midspan.tracking.tracker import ProgressRegistry


def names(node: dict) -> dict:
    return {child["operation_id"]: names(child) for child in node["children"]}


@pytest.fixture
def family(registry: ProgressRegistry, clock) -> None:
    """A root with two children, one of which has two of its own; some have ended."""
    registry.create_tracker("root", "workflow").start()
    clock.advance(1)
    registry.create_tracker("left", parent="root").start()
    clock.advance(1)
    registry.create_tracker("right", parent="root", stall_after=2).start()
    clock.advance(1)
    registry.create_tracker("leaf", parent="left").complete()
    clock.advance(1)
    registry.create_tracker("broken", parent="left").fail("no")
    registry.create_tracker("stranger").start()


@pytest.mark.usefixtures("family")
def test_children_are_nested_oldest_first(client) -> None:
    answer = client.get("/v1/tree/root").json()
    assert names(answer["tree"]) == {"left": {"leaf": {}, "broken": {}}, "right": {}}
    assert list(names(answer["tree"])) == ["left", "right"]
    assert answer["hidden"] == 0


@pytest.mark.usefixtures("family")
def test_a_node_is_the_operation_itself(client, registry) -> None:
    node = client.get("/v1/tree/left").json()["tree"]
    own = client.get("/v1/operations/left").json()
    assert {key: node[key] for key in own} == own
    assert names(node) == {"leaf": {}, "broken": {}}


@pytest.mark.usefixtures("family")
def test_sums_are_over_everything_below(client, clock) -> None:
    clock.advance(1)
    tree = client.get("/v1/tree/root").json()["tree"]
    assert (tree["rollup"]["operations"], tree["rollup"]["stalled"]) == (5, 1)
    assert {key: count for key, count in tree["rollup"]["statuses"].items() if count} == {
        "running": 3,
        "completed": 1,
        "failed": 1,
    }
    assert [child["rollup"]["operations"] for child in tree["children"]] == [3, 1]


def test_tokens_are_summed(client, registry) -> None:
    registry.create_tracker("root").start()
    for number in (1, 2):
        child = registry.create_tracker(f"c{number}", parent="root")
        child.apply(lambda state, _, number=number: record(state, number))
        child.complete()
    assert client.get("/v1/tree/root").json()["tree"]["rollup"]["tokens"] == {"input": 30, "output": 300}


def record(state, number: int) -> int:
    state.input_tokens, state.output_tokens = 10 * number, 100 * number
    return 1


def test_parents_that_name_each_other_are_there_once(client, registry) -> None:
    registry.create_tracker("a", parent="b").complete()  # while it runs, it could not be its own grandparent
    registry.create_tracker("b", parent="a").start()
    tree = client.get("/v1/tree/a").json()["tree"]
    assert (names(tree), tree["rollup"]["operations"]) == ({"b": {}}, 2)


def test_a_very_deep_tree_is_cut_and_counted(client, registry) -> None:
    for number in range(200):
        registry.create_tracker(f"n{number}", parent=f"n{number - 1}" if number else None).complete()
    answer = client.get("/v1/tree/n0").json()
    assert (answer["hidden"], answer["tree"]["rollup"]["operations"]) == (200 - module.MAX_DEPTH, 200)


def test_a_very_wide_tree_is_cut_and_counted(client, registry, monkeypatch) -> None:
    monkeypatch.setattr(module, "MAX_SHOWN", 10)
    registry.create_tracker("root").start()
    for number in range(30):
        registry.create_tracker(f"n{number:02}", parent="root").complete()
    answer = client.get("/v1/tree/root").json()
    assert (len(answer["tree"]["children"]), answer["hidden"]) == (9, 21)
    assert answer["tree"]["rollup"]["operations"] == 31


def test_an_unknown_root_is_a_404(client) -> None:
    assert client.get("/v1/tree/none").json()["type"] == "urn:midspan:problem:operation-not-found"
