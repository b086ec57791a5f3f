"""Failure, stall and `kill -9`, from a real application to a webhook behind Alertmanager; the seconds are printed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic

import pytest

from tests.grafana.drilling import EVALUATION, SCRAPE, Stage, Told, drilling, serving
from tests.grafana.reading import committed, filled, panels

Eventually = Callable[[Callable[[], object], float], None]
FAILED, STALLED, LOST = "MidspanOperationFailed", "MidspanOperationStalled", "MidspanOperationsLost"
PATIENCE = 3.0
"""Seconds without progress after which the drilled operation counts as stalled."""
WITHIN = 30.0


@dataclass
class Drilled:
    """What came to the webhook, and how many seconds each of it took."""

    told: list[Told] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    restarts: list[float] = field(default_factory=list)
    """What the panel Restarts shows before the killed process begins anew, and after."""

    def one(self, alert: str) -> Told:
        """What fired; a resend of the same is the same."""
        found = [told for told in self.told if (told.labels["alertname"], told.status) == (alert, "firing")]
        assert {tuple(sorted(told.labels.items())) for told in found} == {tuple(sorted(found[0].labels.items()))}
        return found[0]


def _is_seen(stage: Stage) -> bool:
    """Whether Prometheus has every operation of the drill, and none of them is over."""
    return len(stage.prometheus.points("midspan_operation_active > 0")) == 3


def _restarts(stage: Stage) -> float:
    """What the panel shows over the last ten minutes."""
    (panel,) = (one for one in panels(committed("failures")) if one["title"] == "Restarts")
    (row,) = stage.prometheus.ask("query", query=filled(panel["targets"][0]["expr"], span="10m"))["result"]
    return float(row["value"][1])


def _drill(stage: Stage, eventually: Eventually) -> Drilled:
    drilled, webhook = Drilled(), stage.webhook

    def arrives(what: str, since: float, alert: str, status: str = "firing") -> None:
        eventually(lambda: webhook.of(alert, status), WITHIN)
        drilled.seconds[what] = webhook.of(alert, status)[0].at - since

    stage.stays.start("to-fail")
    stage.killed.start("to-be-lost", status="running")
    stage.stays.start("to-stall", status="running", stall_after_seconds=3600.0)
    eventually(lambda: _is_seen(stage), WITHIN)
    assert webhook.told == []

    stage.stays.change("to-fail", status="failed", error={"type": "DrillError", "message": "a drill"})
    arrives("failed", monotonic(), FAILED)
    stage.killed.process.kill()
    arrives("lost", monotonic(), LOST)
    stage.stays.start("stalls", status="running", stall_after_seconds=PATIENCE)
    arrives("stalled", monotonic() + PATIENCE, STALLED)
    stage.stays.change("stalls", status="cancelled")
    arrives("moves again", monotonic(), STALLED, "resolved")
    drilled.told = list(webhook.told)

    drilled.restarts.append(_restarts(stage))
    with serving(stage.killed.port):
        eventually(lambda: _restarts(stage) != drilled.restarts[0], WITHIN)
        drilled.restarts.append(_restarts(stage))
    return drilled


@pytest.fixture(scope="module")
def drilled(tmp_path_factory: pytest.TempPathFactory, eventually: Eventually) -> Drilled:
    with drilling(tmp_path_factory.mktemp("drills")) as stage:
        return _drill(stage, eventually)


def test_s3_56_a_failure_arrives_with_its_error(drilled: Drilled) -> None:
    told = drilled.one(FAILED)
    assert told.receiver == "notify"
    assert (told.labels["job"], told.labels["midspan_operation_name"]) == ("stays", "to-fail")
    assert told.annotations["description"] == "1 batch to-fail of stays failed within 5 minutes with DrillError."


def test_a_process_that_is_killed_arrives_with_what_it_was_at(drilled: Drilled) -> None:
    told = drilled.one(LOST)
    assert told.receiver == "page"
    assert (told.labels["job"], told.labels["midspan_operation_name"]) == ("killed", "to-be-lost")
    instance = told.labels["instance"]
    assert (
        told.annotations["description"] == f"1 batch to-be-lost of killed were running on {instance} when it went away."
    )


def test_a_stall_arrives_and_goes_with_the_operation(drilled: Drilled) -> None:
    told = drilled.one(STALLED)
    assert told.receiver == "notify"
    assert (told.labels["job"], told.labels["midspan_operation_name"]) == ("stays", "stalls")
    assert "batch stalls of stays" in told.annotations["description"]


def test_nothing_else_arrives(drilled: Drilled) -> None:
    """Neither the operation that is patient, nor what the killed process would have told of its silence."""
    assert {told.labels["alertname"] for told in drilled.told} == {FAILED, LOST, STALLED}
    assert {told.labels["midspan_operation_name"] for told in drilled.told} == {"to-fail", "to-be-lost", "stalls"}


def test_a_process_that_begins_anew_is_one_restart_on_the_dashboard(drilled: Drilled) -> None:
    assert drilled.restarts == [0.0, 1.0]


def test_every_drill_is_measured(drilled: Drilled, tell: Callable[[str], None]) -> None:
    seconds = ", ".join(f"{what} {took:.2f} s" for what, took in drilled.seconds.items())
    tell(f"to the webhook, scraped every {SCRAPE}, evaluated every {EVALUATION}: {seconds}")
    assert list(drilled.seconds) == ["failed", "lost", "stalled", "moves again"]
