from __future__ import annotations

import pytest
from opentelemetry import baggage, context

from midspan.runtime.wiring import runtime
from midspan.settings import Settings
from midspan.telemetry.principal import current_principal


@pytest.fixture
def said():
    """Says in the baggage, for the time of a test, whose operation it is."""
    tokens: list[object] = []

    def say(value: object) -> None:
        tokens.append(context.attach(baggage.set_baggage("midspan.principal", value)))

    yield say
    for token in reversed(tokens):
        context.detach(token)  # pyright: ignore[reportArgumentType]


def owner(tracker) -> str | None:
    operation = tracker.get_progress_details()
    return operation.owner.principal if operation.owner else None


def test_an_operation_is_of_the_principal_in_the_baggage_where_somebody_asks(registry, said) -> None:
    said("ann")
    before = registry.create_tracker("before")
    registry.principal_of = current_principal
    asked = registry.create_tracker("asked")
    asked.complete()
    assert (owner(before), owner(asked)) == (None, "ann")
    assert registry.get("asked").owner.principal == "ann"


@pytest.mark.parametrize(("value", "principal"), [("", None), (7, None), ("a\nb", "a b"), ("x" * 300, "x" * 127 + "…")])
def test_only_a_short_clean_text_is_a_principal(said, value: object, principal: str | None) -> None:
    said(value)
    assert current_principal() == principal


def test_without_baggage_there_is_no_principal(registry) -> None:
    registry.principal_of = current_principal
    assert owner(registry.create_tracker("a")) is None


def test_what_runs_inside_an_operation_belongs_to_its_owner(registry) -> None:
    parent = registry.create_tracker("parent")
    parent.state.principal = "ann"
    with parent:
        child = registry.create_tracker("child")
    assert (child.get_progress_details().parent_id, owner(child)) == ("parent", "ann")


def test_a_failing_extractor_costs_nobody_an_operation(registry, monkeypatch) -> None:
    from midspan.core import failures

    monkeypatch.setattr(failures, "raising", False)
    registry.principal_of = lambda: 1 / 0
    assert owner(registry.create_tracker("a")) is None
    assert failures.counts() == {"principal": 1}


@pytest.mark.parametrize(("token", "asks"), [(None, False), ("read:x", False), ("a@b", False), ("read@ann:x", True)])
def test_the_baggage_is_looked_at_only_where_a_token_is_of_one_principal(monkeypatch, token, asks: bool) -> None:
    alive = runtime()
    monkeypatch.setattr(alive.serving, "settings", Settings(token=token))
    monkeypatch.setattr(alive.registry, "principal_of", None)
    alive.claim()
    assert (alive.registry.principal_of is current_principal) is asks
