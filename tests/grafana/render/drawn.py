"""Every dashboard, drawn. Not in `make test`, because the first installation takes a minute: `make test-dashboards`.

The pictures are kept in build/dashboards. DRAW_AFTER is for how many seconds the application works before.
"""

from __future__ import annotations

import copy
import json
import os
import subprocess
from collections.abc import Callable, Generator
from pathlib import Path
from time import sleep
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from jsonschema import Draft7Validator
from playwright.sync_api import Browser

from grafana.make_files import HERE
from midspan.grafana.query import COMMON
from tests.browsing import browser as system_browser
from tests.grafana.drawing import GRAFANA, Drawn, draw, site
from tests.grafana.reading import NAMES, Json, committed, filled, panels, queries
from tests.grafana.set_up import set_up
from tests.programs import program

DRAW_AFTER = float(os.environ.get("DRAW_AFTER", "20"))
ASKED_OF_PROMETHEUS = tuple(name for name in NAMES if name != "logs")
"""The panel that shows log lines is in no package of Grafana's."""

Draw = Callable[[str, Json], Drawn]
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def folder() -> Path:
    return site()


@pytest.fixture(scope="module")
def chromium() -> Generator[Browser]:
    with system_browser() as found:
        yield found


@pytest.fixture(scope="module")
def drawing(folder: Path, chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Generator[Draw]:
    """Draws with an application at work."""
    with set_up(tmp_path_factory.mktemp("drawn")) as running:
        running.begin()
        # Not for a state: lines are worth looking at only when time has passed.
        sleep(DRAW_AFTER)
        yield lambda name, dashboard: draw(chromium, folder, recent(dashboard), running.prometheus.url, name)


@pytest.fixture(scope="module")
def overview(drawing: Draw) -> Drawn:
    return drawing("overview", committed("overview"))


@pytest.fixture(scope="module")
def drawing_cold(folder: Path, chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Generator[Draw]:
    """Draws with an application that has done nothing yet."""
    with set_up(tmp_path_factory.mktemp("cold")) as running:
        sleep(2.0)
        yield lambda name, dashboard: draw(chromium, folder, recent(dashboard), running.prometheus.url, name)


def recent(dashboard: Json) -> Json:
    """The same over the time for which there is something to see."""
    return {**dashboard, "time": {"from": f"now-{max(60, int(DRAW_AFTER))}s", "to": "now"}}


@pytest.mark.parametrize("name", ASKED_OF_PROMETHEUS)
def test_every_panel_draws_its_data(drawing: Draw, request: pytest.FixtureRequest, name: str) -> None:
    dashboard = committed(name)
    drawn = request.getfixturevalue("overview") if name == "overview" else drawing(name, dashboard)
    assert set(drawn.panels) == {panel["title"] for panel in panels(dashboard)}
    assert [one for one in drawn.panels.values() if one.empty is not None or not one.has_content] == []
    assert drawn.errors == [] and [one for one in drawn.asked if one.get("error")] == []
    assert len(drawn.asked) >= sum(len(panel["targets"]) for panel in panels(dashboard))


@pytest.mark.parametrize("name", ASKED_OF_PROMETHEUS)
def test_before_anything_has_happened_no_panel_is_broken_or_empty_without_a_word(drawing_cold: Draw, name: str) -> None:
    drawn = drawing_cold(f"{name}-cold", committed(name))
    texts = {panel["title"]: panel["fieldConfig"]["defaults"].get("noValue") for panel in panels(committed(name))}
    assert drawn.errors == [] and [one for one in drawn.asked if one.get("error")] == []
    for one in drawn.panels.values():
        assert one.has_content and one.empty in (None, texts[one.title]), one


def test_a_number_has_its_unit_and_a_line_its_name(overview: Drawn) -> None:
    assert "%" in overview.panels["Failure ratio"].text and "ops/m" in overview.panels["Started / min"].text
    assert "min" in overview.panels["Oldest running"].text
    assert "chat (llm_request) p95" in overview.panels["Duration of calls"].text
    assert {"completed", "failed"} <= set(overview.panels["Ended, by status"].text.split())


def test_a_link_leads_on_with_the_time_and_what_was_chosen(overview: Drawn) -> None:
    chosen = {f"var-{name}" for name in ("datasource", "job", "instance", *COMMON.values())}
    assert len(overview.led) == 5
    for url in overview.led:
        given = parse_qs(urlsplit(url).query, strict_parsing=True)
        assert {*given} == {"from", "to", "timezone", *chosen}
        assert (given["to"], given["var-job"]) == (["now"], ["$__all"])


def test_exemplars_are_found(overview: Drawn) -> None:
    assert max(one.get("exemplars", 0) for one in overview.asked) > 0


def broken(change: Callable[[Json], None]) -> Json:
    """The overview's first row, of which one panel, Failure ratio, has been changed."""
    dashboard = copy.deepcopy(committed("overview"))
    dashboard["panels"] = [panel for panel in dashboard["panels"] if panel["gridPos"]["y"] < 5]
    change(next(panel for panel in panels(dashboard) if panel["title"] == "Failure ratio"))
    return dashboard


def _source(panel: Json) -> None:
    panel["datasource"] = {"type": "prometheus", "uid": "elsewhere"}


def _metric(panel: Json) -> None:
    panel["targets"][0]["expr"] = "llm_operations"


def _promql(panel: Json) -> None:
    panel["targets"][0]["expr"] = "sum(("


def _kind(panel: Json) -> None:
    panel["type"] = "speedometer"


def _unit(panel: Json) -> None:
    del panel["fieldConfig"]["defaults"]["unit"]


@pytest.mark.parametrize("change", [_source, _metric, _promql, _kind, _unit])
def test_a_panel_that_is_broken_is_seen(drawing: Draw, change: Callable[[Json], None]) -> None:
    shown = drawing(f"broken{change.__name__}", broken(change)).panels["Failure ratio"]
    assert shown.empty is not None or not shown.has_content or "%" not in shown.text


def test_a_panel_that_throws_is_seen(drawing: Draw) -> None:
    dashboard = broken(lambda panel: panel.update(options={}))
    shown = drawing("broken_options", dashboard).panels["Failure ratio"]
    assert shown.empty is not None and "error" in shown.empty


# --- the log events ---------------------------------------------------------------------------------


def unparsable(folder: Path, expressions: list[str]) -> list[str]:
    """Those that Grafana's own grammar of LogQL does not know."""
    command, asked = [program("node"), "logql.mjs"], json.dumps(expressions)
    done = subprocess.run(command, cwd=folder, input=asked, capture_output=True, text=True, timeout=60, check=True)
    return json.loads(done.stdout)


def test_every_query_of_the_log_events_parses(folder: Path) -> None:
    expressions = [filled(query.expr) for query in queries("loki")]
    assert len(expressions) >= 9
    assert unparsable(folder, expressions) == []


def test_a_query_that_does_not_parse_is_seen(folder: Path) -> None:
    broken = ['{a="b"', '{a="b"} |~~ "c"', 'sum by (count_over_time({a="b"} [5m]))']
    assert unparsable(folder, [*broken, '{a="b"} |~ "c"']) == broken


# --- the newer schema -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def schema(folder: Path) -> Json:
    """The schema of version 2 as Grafana's own types have it."""
    if GRAFANA != "13":
        pytest.skip("the manifests are for Grafana 13")
    types = "node_modules/@grafana/schema/dist/types/schema/dashboard/v2/types.spec.gen.d.ts"
    generator = folder / "node_modules/ts-json-schema-generator/bin/ts-json-schema-generator.js"
    command = [program("node"), str(generator), "--path", types, "--type", "Spec", "--no-type-check"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=True)
    return json.loads(done.stdout)


def faults(schema: Json, name: str, **changed: Any) -> list[str]:
    manifest = json.loads((HERE / "dashboards-v2" / f"{name}.json").read_text("utf-8"))
    return [error.message for error in Draft7Validator(schema).iter_errors({**manifest["spec"], **changed})]


@pytest.mark.parametrize("name", NAMES)
def test_a_manifest_fits_grafanas_types(schema: Json, name: str) -> None:
    assert faults(schema, name) == []


@pytest.mark.parametrize(
    "changed", [{"cursorSync": "off"}, {"titel": "x"}, {"elements": {"panel-1": {"kind": "panel"}}}]
)
def test_a_manifest_that_does_not_fit_is_seen(schema: Json, changed: Json) -> None:
    assert faults(schema, "overview", **changed) != []
