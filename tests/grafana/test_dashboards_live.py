"""Every query of every dashboard, asked of a real Prometheus that scrapes a real application: idle, then at work."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest

from tests.collector.prometheus_server import Prometheus
from tests.grafana.reading import Query, filled, queries
from tests.grafana.set_up import set_up

MOST_SERIES = 50

Eventually = Callable[[Callable[[], object], float], None]
Rows = list[dict[str, Any]]


def asked(prometheus: Prometheus, query: Query) -> Rows:
    """What a query finds now; NaN is nothing."""
    try:
        found = prometheus.ask("query", query=filled(query.expr))["result"]
    except HTTPError as refusal:
        raise AssertionError(f"{query.place}: {json.load(refusal)['error']}") from None
    return [row for row in found if row["value"][1] != "NaN"]


def legend(query: Query, labels: dict[str, str]) -> str:
    """A series as the panel tells it."""
    template: str = query.target["legendFormat"]
    if template == "__auto":
        return str(sorted(labels.items()))
    return re.sub(r"{{(\w+)}}", lambda found: labels.get(found[1], ""), template)


class Looked:
    """What was found before and after the application began to work, by the place of the query."""

    def __init__(self) -> None:
        self.cold: dict[str, Rows] = {}
        self.busy: dict[str, Rows] = {}

    def look_cold(self, prometheus: Prometheus) -> None:
        self.cold = {query.place: asked(prometheus, query) for query in queries()}

    def look_busy(self, prometheus: Prometheus) -> bool:
        """Ask what had nothing to show up to now; whether all have, by now."""
        for query in queries():
            self.busy[query.place] = self.busy.get(query.place) or asked(prometheus, query)
        return all(self.busy.values())


@pytest.fixture(scope="module")
def looked(tmp_path_factory: pytest.TempPathFactory, eventually: Eventually) -> Generator[Looked]:
    """The whole life of one application."""
    found = Looked()
    with set_up(Path(tmp_path_factory.mktemp("dashboards"))) as running:
        prometheus = running.prometheus
        eventually(lambda: prometheus.points('midspan_build_info{job="app"}'), 20.0)
        found.look_cold(prometheus)
        running.begin()
        try:
            eventually(lambda: found.look_busy(prometheus), 60.0)
        except AssertionError:
            pytest.fail(f"nothing to show: {[place for place, rows in found.busy.items() if not rows]}")
        yield found


def test_s3_61_every_query_has_something_to_show_while_the_application_works(looked: Looked) -> None:
    assert [place for place, rows in looked.busy.items() if not rows] == []
    assert len(looked.busy) == len(queries()) > 50


def test_a_panel_without_data_on_a_cold_start_says_so(looked: Looked) -> None:
    silent = [
        query.place
        for query in queries()
        if not looked.cold[query.place] and not query.panel["fieldConfig"]["defaults"].get("noValue")
    ]
    assert silent == []
    assert len([place for place, rows in looked.cold.items() if not rows]) > 20


def test_a_number_at_the_top_is_zero_or_a_text_before_anything_has_happened(looked: Looked) -> None:
    stats = [query for query in queries() if query.panel["type"] == "stat" and query.dashboard != "midspan"]
    values = {row["value"][1] for query in stats for row in looked.cold[query.place]}
    assert values == {"0"}


def test_no_panel_has_two_series_of_one_name_or_too_many(looked: Looked) -> None:
    for query in queries():
        told = Counter(legend(query, row["metric"]) for row in looked.busy[query.place])
        assert max(told.values()) == 1, f"{query.place}: {told.most_common(1)}"
        assert len(told) <= MOST_SERIES, query.place


def test_no_legend_is_empty(looked: Looked) -> None:
    for query in queries():
        for row in looked.busy[query.place]:
            told = legend(query, row["metric"])
            assert told.strip(" ()") != "", query.place
