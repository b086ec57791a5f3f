"""A scrape is one look: consistent while everything changes; and what fails in it is told by the page itself."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families as parse_text

from midspan.core import failures
from midspan.core.metrics import Reading
from midspan.telemetry import prometheus
from midspan.telemetry.prometheus import MetricsPage, register, unregister
from midspan.tracking.tracker import ProgressRegistry

ERRORS = "midspan_internal_errors_total"
Sums = dict[str, Counter[str]]


@contextmanager
def changing(registry: ProgressRegistry, threads: int) -> Iterator[None]:
    """So many threads that start and end operations all the time, and change places as often as they can."""
    over, before = threading.Event(), sys.getswitchinterval()

    def work(number: int) -> None:
        while not over.is_set():
            tracker = registry.create_tracker(name=f"job-{number % 3}")
            tracker.update(step=1)
            tracker.complete() if number % 2 else tracker.fail(ValueError("no"))

    running = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    sys.setswitchinterval(1e-5)
    try:
        for thread in running:
            thread.start()
        yield
    finally:
        over.set()
        for thread in running:
            thread.join()
        sys.setswitchinterval(before)


def sums(page: MetricsPage) -> Sums:
    """Every metric of one scrape, summed up by the name of the operation, and the status where there is one."""
    found: Sums = {}
    for family in parse_text(page()[0].decode()):
        for sample in family.samples:
            name, status = sample.labels.get("midspan_operation_name", ""), sample.labels.get("midspan_status", "")
            found.setdefault(sample.name, Counter())[f"{name} {status}".strip()] += int(sample.value)
    return found


@pytest.fixture
def page(registry: ProgressRegistry) -> MetricsPage:
    return MetricsPage(registry)


def test_a_scrape_is_consistent_while_a_hundred_threads_change_the_registry(
    registry: ProgressRegistry, page: MetricsPage
) -> None:
    with changing(registry, 100):
        scrapes = [sums(page) for _ in range(12)]
    for seen in scrapes[1:]:
        started, ended = seen["midspan_operation_started_total"], seen["midspan_operation_ended_total"]
        assert seen["midspan_operation_duration_seconds_count"] == +ended
        for name in started:
            over = sum(count for key, count in ended.items() if key.startswith(name))
            assert over + seen.get("midspan_operation_active", Counter())[name] <= started[name]
            assert seen["midspan_operation_failures_total"][name] == ended[f"{name} failed"]
            assert seen["midspan_attempts_total"][name] == over
    for name in ("midspan_operation_started_total", "midspan_operation_ended_total", "midspan_operation_updates_total"):
        assert all(not earlier[name] - later[name] for earlier, later in pairwise(scrapes) if name in earlier)


def test_when_all_is_over_a_scrape_has_everything(registry: ProgressRegistry, page: MetricsPage) -> None:
    with changing(registry, 20):
        page()
    seen = sums(page)
    assert sum(seen["midspan_operation_ended_total"].values()) == sum(seen["midspan_operation_started_total"].values())
    assert not +seen.get("midspan_operation_active", Counter())


# --- what cannot be read ----------------------------------------------------------------------------


def broken(*_: object) -> None:
    raise RuntimeError("ours")


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in production: failures of ours are not raised."""
    monkeypatch.setattr(failures, "raising", False)


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("part", ["core.metrics.Reading.of", "telemetry.live.LiveOperations.choose"])
def test_a_scrape_that_fails_says_so_itself(
    part: str, registry: ProgressRegistry, page: MetricsPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.create_tracker()
    monkeypatch.setattr(f"midspan.{part}", broken)
    seen = sums(page)
    assert sum(seen[ERRORS].values()) == 1
    assert "midspan_build_info" in seen and "process_start_time_seconds" in seen


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("row", ["_read_histogram", "_filled"])
def test_what_fails_after_the_counter_of_errors_is_in_it_as_well(
    row: str, registry: ProgressRegistry, page: MetricsPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the same scrape: nobody would see it if the next one went well."""
    registry.create_tracker()
    filled = prometheus._filled  # pyright: ignore[reportPrivateUsage]

    def fails(which: object, *rest: object) -> object:
        return filled(which, *rest) if which is prometheus.ERRORS else broken()  # type: ignore[arg-type]

    monkeypatch.setattr(prometheus, row, fails)
    assert sum(sums(page)[ERRORS].values()) == failures.counts()["prometheus"] > 1


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("accept", ["", "application/openmetrics-text; version=1.0.0"])
def test_a_page_that_cannot_be_written_says_so_and_nothing_else(
    accept: str, registry: ProgressRegistry, page: MetricsPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.create_tracker()
    monkeypatch.setattr(MetricsPage, "_pulled", property(broken), raising=False)
    body = page(accept)[0].decode()
    names = {line.split(" ")[0].partition("{")[0] for line in body.splitlines() if not line.startswith("#")}
    assert names == {ERRORS}


@pytest.mark.usefixtures("quiet")
def test_an_applications_own_page_has_its_metrics_though_none_of_ours_can_be_read(
    registry: ProgressRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = CollectorRegistry()
    register(registry, theirs)
    monkeypatch.setattr(prometheus, "_filled", broken)
    monkeypatch.setattr(Reading, "of", broken)
    assert b"midspan_build_info" in generate_latest(theirs)
    unregister(theirs)
