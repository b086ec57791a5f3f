"""A real Prometheus and a real application: what is pulled is what is pushed, exemplars included, and nothing stale."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from time import monotonic, sleep
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.collector.collectors import exporting
from tests.collector.prometheus_server import Points, Prometheus, scraping
from tests.collector.receiver import Receiver, Service, listening
from tests.collector.scraped import JOBS, App, pushed, running_app
from tests.fakes.openai_server import FakeOpenAI
from tests.programs import program

Eventually = Callable[[Callable[[], object], float], None]


@dataclass
class Seen:
    """What was seen of one application, in the order of its life; what Prometheus has by the name of the job."""

    cold: list[str] = field(default_factory=list)
    pushed: Points = field(default_factory=dict)
    pulled: dict[str, Points] = field(default_factory=dict)
    live: Points = field(default_factory=dict)
    up: dict[str, float] = field(default_factory=dict)
    exemplars: dict[str, set[tuple[str, str]]] = field(default_factory=dict)
    spans: dict[tuple[str, str], str] = field(default_factory=dict)
    busy: list[str] = field(default_factory=list)
    ended: dict[str, Points] = field(default_factory=dict)
    refused: dict[str, float] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    def look_at_settled(self, prometheus: Prometheus, service: Service) -> None:
        """Both ways as soon as they agree, and at a deadline as they are, for the tests to show."""
        end = monotonic() + 30
        while monotonic() < end and not (self._agree() and len(up(prometheus)) > len(JOBS)):
            sleep(0.05)
            self.pushed = pushed(service)
            self.pulled = {name: pulled(prometheus, name) for name in JOBS}
        self.live = prometheus.points('{__name__=~"midspan_live_.+", job="metrics"}')
        self.up = {
            row["metric"]["job"]: float(row["value"][1]) for row in prometheus.ask("query", query="up")["result"]
        }
        self.exemplars = {name: exemplars(prometheus, name) for name in JOBS}
        self.spans = {(span.trace_id.hex(), span.span_id.hex()): span.name for span in service.spans}

    def _agree(self) -> bool:
        return bool(self.pushed) and all(found == self.pushed for found in self.pulled.values())

    def look_under_load(self, app: App, eventually: Eventually) -> None:
        """Pages until one has calls that run."""

        def is_busy() -> bool:
            self.busy.append(app.page())
            return calls_running(self.busy[-1]) > 0

        app.say("load")
        eventually(is_busy, 20.0)
        self.busy.append(app.page("own"))
        assert app.hear() == "done"

    def look_at_the_end(self, app: App, prometheus: Prometheus, eventually: Eventually) -> None:
        """What the job has left, when every scrape has seen that it is over."""
        app.say("end")
        assert app.hear() == "done"
        over = 'midspan_operation_ended_total{midspan_operation_type="batch", midspan_status="completed"} == 1'
        eventually(lambda: len(prometheus.ask("query", query=over)["result"]) == len(JOBS), 20.0)
        self.ended = {name: prometheus.points(f'{{midspan_operation_type="batch", job="{name}"}}') for name in JOBS}
        self.refused = refused(prometheus)


def up(prometheus: Prometheus) -> dict[str, float]:
    """Whether any scrape of each job went well."""
    found = prometheus.ask("query", query="max_over_time(up[5m])")["result"]
    return {row["metric"]["job"]: float(row["value"][1]) for row in found}


def pulled(prometheus: Prometheus, name: str) -> Points:
    """midspan's metrics in Prometheus, without what is there alone."""
    return prometheus.points(f'{{__name__=~"midspan_.+", __name__!~"midspan_(live|build)_.+", job="{name}"}}')


def exemplars(prometheus: Prometheus, name: str) -> set[tuple[str, str]]:
    """The spans that one job's durations point to."""
    found = prometheus.exemplars(f'midspan_operation_duration_seconds_bucket{{job="{name}"}}')
    return {(labels["trace_id"], labels["span_id"]) for labels in found}


def calls_running(page: str) -> float:
    """How many calls to a model run, says a page."""
    found = [sample for family in text_string_to_metric_families(page) for sample in family.samples]
    return sum(s.value for s in found if s.name == "midspan_operation_active" and s.labels["gen_ai_request_model"])


def refused(prometheus: Prometheus) -> dict[str, float]:
    """How many samples and exemplars it did not take, by its own counters."""
    with urlopen(f"{prometheus.url}/metrics", timeout=10) as answer:
        families = text_string_to_metric_families(answer.read().decode())
        found = {sample.name: sample.value for family in families for sample in family.samples}
    kinds = ("prometheus_target_scrapes_sample_", "prometheus_target_scrapes_exemplar_")
    return {name: value for name, value in found.items() if name.startswith(kinds)}


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory, eventually: Eventually) -> Seen:
    """One application from its start, through a load, to the end of its job."""
    seen, receiver = Seen(), Receiver()
    with ExitStack() as stack:
        fake = stack.enter_context(FakeOpenAI())
        target = stack.enter_context(listening(receiver))
        app = stack.enter_context(running_app(fake, **exporting(target), OTEL_SERVICE_NAME="scraped"))
        # Before anything is there: it takes five seconds to its first scrape.
        prometheus = stack.enter_context(scraping(tmp_path_factory.mktemp("prometheus"), *app.jobs()))
        assert app.hear() == "cold"
        eventually(app.serves, 20.0)
        seen.cold = [app.page("metrics"), app.page("own")]
        app.say("begin")
        assert app.hear() == "settled"
        seen.look_at_settled(prometheus, receiver.service("scraped"))
        seen.look_under_load(app, eventually)
        seen.look_at_the_end(app, prometheus, eventually)
    seen.said = prometheus.said
    return seen


# --- the same on both ways --------------------------------------------------------------------------


@pytest.mark.parametrize("name", JOBS)
def test_what_prometheus_pulls_is_what_opentelemetry_pushes(seen: Seen, name: str) -> None:
    assert seen.pulled[name] == seen.pushed
    assert len(seen.pushed) > 100


def test_it_pulls_something_of_every_metric_that_such_an_application_has(seen: Seen) -> None:
    names = {name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count") for name, _ in seen.pushed}
    assert names == {
        "midspan_operation_active",
        "midspan_operation_started_total",
        "midspan_operation_ended_total",
        "midspan_operation_failures_total",
        "midspan_operation_duration_seconds",
        "midspan_time_to_first_chunk_seconds",
        "midspan_tokens_total",
        "midspan_operation_updates_total",
        "midspan_operation_progress_ratio",
        "midspan_operation_oldest_start_timestamp_seconds",
        "midspan_operation_oldest_progress_timestamp_seconds",
        "midspan_operation_stall_after_seconds",
        "midspan_operation_stalled",
        "midspan_operation_past_deadline",
        "midspan_attempts_total",
    }


@pytest.mark.parametrize("name", JOBS)
def test_exemplars_can_be_queried_and_are_spans_of_the_run(seen: Seen, name: str) -> None:
    found = {seen.spans.get(ids) for ids in seen.exemplars[name]}
    assert {"chat ok", "chat refused", "embeddings ok"} <= found
    assert None not in found


def test_a_long_job_has_series_of_its_own_and_only_while_it_runs(seen: Seen) -> None:
    values = {name: value for (name, labels), value in seen.live.items() if ("operation_id", "job-1") in labels}
    assert values["midspan_live_operation_progress_ratio"] == 0.4
    assert "midspan_live_operation_deadline_timestamp_seconds" in values
    assert len(seen.live) == len(values)
    assert not any(name.startswith("midspan_live") for name, _ in seen.ended["metrics"])


def test_an_ended_job_leaves_no_stale_gauge_in_prometheus(seen: Seen) -> None:
    of_the_job = {name for name, labels in seen.pulled["own"] if ("midspan_operation_type", "batch") in labels}
    assert of_the_job - {name for name, _ in seen.ended["own"]} == {
        "midspan_operation_progress_ratio",
        "midspan_operation_oldest_start_timestamp_seconds",
        "midspan_operation_oldest_progress_timestamp_seconds",
    }
    assert {value for (name, _), value in seen.ended["own"].items() if name == "midspan_operation_active"} == {0}


# --- scraping ---------------------------------------------------------------------------------------


def test_the_api_is_scraped_with_its_token_alone_and_the_address_for_metrics_without(seen: Seen) -> None:
    assert seen.up == {"metrics": 1, "own": 1, "api": 1, "closed": 0}


def test_prometheus_takes_every_sample_and_every_exemplar_and_has_nothing_to_say(seen: Seen) -> None:
    assert len(seen.refused) >= 4 and set(seen.refused.values()) == {0}
    assert [line for line in seen.said if "exiting gracefully" not in line] == []


@pytest.mark.parametrize("when", ["cold", "busy"])
def test_promtool_finds_nothing_to_mend_in_any_page(seen: Seen, when: str) -> None:
    pages: list[str] = getattr(seen, when)
    assert len(pages) >= 2
    for page in pages:
        command = [program("promtool"), "check", "metrics"]
        done = subprocess.run(command, input=page, capture_output=True, text=True, timeout=30, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
