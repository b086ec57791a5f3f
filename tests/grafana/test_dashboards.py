"""The dashboards as they are committed: what the code writes, valid, and with nothing for a linter to find."""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from grafana.make_files import HERE, built
from midspan.grafana.dashboards import DASHBOARDS, classic
from midspan.grafana.options import JOB_LABELS, Options
from tests.grafana.lint import findings
from tests.grafana.reading import FOLDER, NAMES, Json, committed, panels, selectors

WRITTEN = ("alerts", "dashboards", "dashboards-v2", "kubernetes", "provisioning", "runbooks")


def test_what_is_committed_is_what_the_code_writes() -> None:
    files = {path.relative_to(HERE).as_posix(): path for one in WRITTEN for path in (HERE / one).rglob("*")}
    found = {name: path.read_text("utf-8") for name, path in files.items() if path.is_file() and "/tests/" not in name}
    found["alertmanager.yml"] = (HERE / "alertmanager.yml").read_text("utf-8")
    assert found == built(), "make dashboards writes them anew"


def test_each_dashboard_has_an_address_of_its_own() -> None:
    assert tuple(DASHBOARDS) == NAMES
    assert len({committed(name)["uid"] for name in NAMES}) == len(NAMES) == len(list(FOLDER.iterdir()))


@pytest.mark.parametrize("name", NAMES)
def test_the_linter_finds_nothing(name: str) -> None:
    assert findings(committed(name)) == []


def lossless(dashboard: Json) -> list[str]:
    """What Grafana's own model of a classic dashboard loses or changes of it."""
    with warnings.catch_warnings():
        # It would rather have everybody on the newer schema, which Grafana 11 and 12 do not read.
        warnings.simplefilter("ignore", DeprecationWarning)
        from grafana_foundation_sdk.cog.encoder import JSONEncoder
        from grafana_foundation_sdk.models.dashboard import Dashboard
    again = json.loads(json.dumps(Dashboard.from_json(dashboard), cls=JSONEncoder))
    return differences(dashboard, again, "")


def differences(ours: Any, theirs: Any, place: str) -> list[str]:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        # What only theirs has is a default.
        return [one for key, value in ours.items() for one in differences(value, theirs.get(key), f"{place}.{key}")]
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        pairs = enumerate(zip(ours, theirs, strict=True))
        return [one for n, (a, b) in pairs for one in differences(a, b, f"{place}[{n}]")]
    return [] if ours == theirs else [f"{place}: {ours!r} became {theirs!r}"]


@pytest.mark.parametrize("name", NAMES)
def test_grafanas_own_model_loses_nothing_of_it(name: str) -> None:
    assert lossless(committed(name)) == []


# --- that the checks can fail -----------------------------------------------------------------------


def _panel(dashboard: Json, title: str) -> Json:
    return next(panel for panel in panels(dashboard) if panel["title"] == title)


def _change(title: str, old: str, new: str) -> Callable[[Json], None]:
    def change(dashboard: Json) -> None:
        target = _panel(dashboard, title)["targets"][0]
        assert old in target["expr"]
        target["expr"] = target["expr"].replace(old, new)

    return change


def _set(*path: str | int, value: Any) -> Callable[[Json], None]:
    def change(dashboard: Json) -> None:
        found: Any = dashboard
        for part in path[:-1]:
            found = found[part]
        found[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_change("Running", "midspan_operation_active", "midspan_operations_active"), "is no metric of midspan"),
        (_change("Running", "midspan_operation_type", "operation_type"), "has no label operation_type"),
        (_change("Running", "(midspan", "((midspan"), "parses"),
        (_change("Running", 'instance=~"$instance", ', ""), "of any job or instance"),
        (_change("Ended, by status", "$__rate_interval", "5m"), "window 5m"),
        (_change("Ended, by status", "by (midspan_status)", "by (midspan_status, error_type)"), "legend without"),
        (_change("Started / min", "rate(", "max_over_time("), "as it is"),
        (_change("Started / min", "midspan_operation_started_total", "midspan_operation_active"), "rate of the gauge"),
        (_set("editable", value=True), "editable"),
        (_set("links", value=[]), "no link"),
        (_set("panels", 3, "links", 0, "url", value="/d/midspan-overview?x"), "leads to midspan-overview"),
        (_set("panels", 3, "links", 0, "url", value="/d/midspan-exporter?${job:queryparam}"), "url_time_range}"),
        (_set("panels", 3, "links", 0, "url", value="/d/midspan-exporter?${__url_time_range}"), "${job:queryparam}"),
        (_set("panels", 3, "links", 0, "url", value="/d/midspan-exporter?var-run=1"), "gives run"),
        (_set("panels", 1, "id", value=3), "ids"),
        (_set("panels", 1, "title", value=""), "no title"),
        (_set("panels", 1, "gridPos", "w", value=4), "lies on"),
        (_set("panels", 1, "datasource", "uid", value="prometheus"), "data source prometheus"),
        (_set("panels", 1, "targets", value=[]), "targets []"),
        (_set("panels", 1, "fieldConfig", "defaults", "unit", value=""), "no unit"),
        (_set("panels", 3, "fieldConfig", "defaults", "noValue", value=""), "empty without a word"),
        (_set("templating", "list", 0, "name", value="ds"), "data source variable ds"),
        (_set("templating", "list", 1, "allValue", value=".*"), "allValue"),
        (_set("templating", "list", 1, "refresh", value=1), "does not follow the time"),
    ],
)
def test_the_linter_finds_what_is_broken(change: Callable[[Json], None], said: str) -> None:
    dashboard = copy.deepcopy(committed("overview"))
    change(dashboard)
    assert [one for one in findings(dashboard) if said in one] != []


@pytest.mark.parametrize("path", [("panels", 2, "tpye"), ("titel",), ("panels", 2, "fieldConfig", "defaults", "unitt")])
def test_grafanas_own_model_loses_a_field_that_is_misspelt(path: tuple[str | int, ...]) -> None:
    dashboard = copy.deepcopy(committed("overview"))
    _set(*path, value="x")(dashboard)
    assert len(lossless(dashboard)) == 1


# --- other set-ups ----------------------------------------------------------------------------------


@pytest.mark.parametrize("label", [name for name in JOB_LABELS if name != "job"])
def test_another_job_label_is_in_every_query(label: str) -> None:
    found = {
        matcher.name: selector.name
        for dashboard in classic(Options(job_label=label)).values()
        for panel in panels(dashboard)
        for target in panel["targets"]
        if target["datasource"]["type"] == "prometheus"
        for selector in selectors(target["expr"])
        for matcher in selector.matchers.matchers
    }
    assert {label, JOB_LABELS[label]} <= set(found)
    assert not {"job", "instance"} & (set(found) - {label, JOB_LABELS[label]})


def test_the_objective_is_in_budget_burn_and_colours() -> None:
    text = json.dumps(classic(Options(slo=0.995))["failures"])
    assert "0.005" in text and "99.5 %" in text
    assert "0.01," not in text


def test_the_data_source_that_is_named_is_chosen_at_first() -> None:
    variables = classic(Options(datasource="Mimir"))["overview"]["templating"]["list"]
    assert variables[0]["current"] == {"selected": True, "text": "Mimir", "value": "Mimir"}
