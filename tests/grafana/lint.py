"""What is wrong with a dashboard, as one line each: the rules of grafana/dashboard-linter stated anew, and some more.

A rule is a function of a dashboard, or of a panel of it, that yields what it finds; the first line of its docstring
is the rule.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from itertools import combinations

import promql_parser as promql

from tests.grafana.reading import NAMES, Json, committed, filled, known, links, panels, selectors

NEEDS_UNIT = ("stat", "timeseries", "gauge", "bargauge")
COUNTING = re.compile(r"(?:rate|irate|increase)\(\s*([a-z_]+)")
NOT_OF_US = {
    "ALERTS": {"alertname", "alertstate", "severity"},
    "process_cpu_seconds_total": set[str](),
    "process_resident_memory_bytes": set[str](),
    "process_start_time_seconds": set[str](),
    "prometheus_rule_evaluation_failures_total": {"rule_group"},
    "scrape_duration_seconds": set[str](),
    "scrape_samples_scraped": set[str](),
    "up": set[str](),
}
"""What Prometheus, and the client library, add to midspan's metrics."""
ANYWHERE = ("prometheus_rule_evaluation_failures_total",)
"""Not of an application: no Job and no Instance."""
Rule = Callable[[Json], Iterator[str]]


def is_of_prometheus(dashboard: Json) -> bool:
    return any(one["name"] == "datasource" for one in dashboard["templating"]["list"])


# --- rules of a dashboard ---------------------------------------------------------------------------


def data_source_is_a_variable(dashboard: Json) -> Iterator[str]:
    """template-datasource-rule"""
    found = [one for one in dashboard["templating"]["list"] if one["type"] == "datasource"]
    if len(found) != 1:
        yield f"{len(found)} data source variables"
    for one in found:
        if one["name"] not in ("datasource", f"{one['query']}_datasource"):
            yield f"data source variable {one['name']}"
        if one["label"] != f"{one['query'].title()} data source":
            yield f"data source label {one['label']}"


def job_and_instance_are_variables(dashboard: Json) -> Iterator[str]:
    """template-job-rule, template-instance-rule"""
    variables = {one["name"]: one for one in dashboard["templating"]["list"]}
    for name in ("job", "instance") if is_of_prometheus(dashboard) else ():
        one = variables.get(name, {})
        wanted = {"type": "query", "label": name.title(), "multi": True, "includeAll": True, "allValue": ".+"}
        for key, value in wanted.items():
            if one.get(key) != value:
                yield f"variable {name}: {key} is {one.get(key)}"


def variables_are_asked_for_again(dashboard: Json) -> Iterator[str]:
    """template-on-time-change-reload-rule"""
    for one in dashboard["templating"]["list"]:
        if one["type"] == "query" and one["refresh"] != 2:
            yield f"variable {one['name']} does not follow the time"


def cannot_be_edited(dashboard: Json) -> Iterator[str]:
    """uneditable-dashboard"""
    if dashboard["editable"]:
        yield "editable"


def ids_are_unique(dashboard: Json) -> Iterator[str]:
    """ours: panel ids"""
    ids = [panel["id"] for panel in dashboard["panels"]]
    if len(ids) != len(set(ids)) or None in ids:
        yield f"ids {ids}"


def panels_do_not_overlap(dashboard: Json) -> Iterator[str]:
    """ours: the grid, without gaps at the right"""
    places = [(panel["title"], panel["gridPos"]) for panel in dashboard["panels"]]
    for (one, a), (other, b) in combinations(places, 2):
        if (
            a["x"] < b["x"] + b["w"]
            and b["x"] < a["x"] + a["w"]
            and a["y"] < b["y"] + b["h"]
            and b["y"] < a["y"] + a["h"]
        ):
            yield f"{one} lies on {other}"
    for y in {place["y"] for _, place in places}:
        width = sum(place["w"] for _, place in places if place["y"] == y)
        if width != 24:
            yield f"{width} columns in line {y}"


def leads_to_the_others(dashboard: Json) -> Iterator[str]:
    """ours: a link by tag that keeps variables and time"""
    for one in dashboard["links"]:
        if one["includeVars"] and one["keepTime"] and set(one["tags"]) <= set(dashboard["tags"]):
            return
    yield "no link to the other dashboards"


def drills_down_with_what_was_chosen(dashboard: Json) -> Iterator[str]:
    """ours: a link of a panel leads to another dashboard, keeps the time, and keeps every choice that is one there"""
    here = _choices(dashboard)
    for panel in panels(dashboard):
        for link in links(panel):
            uid, _, query = link["url"].removeprefix("/d/").partition("?")
            there = _by_uid().get(uid)
            if there is None or uid == dashboard["uid"]:
                yield f"{panel['title']}: {link['title']} leads to {uid}"
                continue
            kept = query.split("&")
            wanted = {"${__url_time_range}", *(f"${{{name}:queryparam}}" for name in here & _choices(there))}
            if missing := sorted(wanted - {*kept}):
                yield f"{panel['title']}: {link['title']} loses {', '.join(missing)}"
            named = {re.split(r"var-|[=:}]|\$\{", part)[1] for part in kept} - {"__url_time_range"}
            if unknown := sorted(named - {one["name"] for one in there["templating"]["list"]}):
                yield f"{panel['title']}: {link['title']} gives {', '.join(unknown)}, which {uid} has not"


def _choices(dashboard: Json) -> set[str]:
    """The variables that somebody chooses values of; one that is typed is a pattern, and fits no other."""
    return {one["name"] for one in dashboard["templating"]["list"] if one["type"] != "textbox"}


@cache
def _by_uid() -> dict[str, Json]:
    return {one["uid"]: one for one in map(committed, NAMES)}


# --- rules of a panel -------------------------------------------------------------------------------


def has_title_and_description(panel: Json) -> Iterator[str]:
    """panel-title-description-rule"""
    if not panel["title"] or not panel["description"].endswith("."):
        yield "no title, or no sentence of description"


def has_a_unit(panel: Json) -> Iterator[str]:
    """panel-units-rule"""
    if panel["type"] in NEEDS_UNIT and not panel["fieldConfig"]["defaults"].get("unit"):
        yield "no unit"


def data_sources_are_variables(panel: Json) -> Iterator[str]:
    """panel-datasource-rule"""
    for source in (panel["datasource"], *(target["datasource"] for target in panel["targets"])):
        if source["uid"] not in ("${datasource}", "${loki_datasource}"):
            yield f"data source {source['uid']}"


def has_targets(panel: Json) -> Iterator[str]:
    """panel-no-targets-rule, and ours: refId"""
    letters = [target.get("refId") for target in panel["targets"]]
    if not letters or None in letters or len(letters) != len(set(letters)):
        yield f"targets {letters}"


def _promql(panel: Json) -> Iterator[str]:
    return (one["expr"] for one in panel["targets"] if one["datasource"]["type"] == "prometheus")


def parses(panel: Json) -> Iterator[str]:
    """target-promql-rule, template-label-promql-rule"""
    for expr in _promql(panel):
        try:
            promql.parse(filled(expr))
        except ValueError as error:
            yield f"{error}: {expr}"


def rates_follow_the_interval(panel: Json) -> Iterator[str]:
    """target-rate-interval-rule: or a window that is the panel's own subject"""
    windows = {"$__rate_interval", "$__range", *(("5m", "1h", "6h") if panel["title"] == "Burn rate" else ())}
    for expr in _promql(panel):
        for window in re.findall(r"(?:rate|increase|changes)\([^\[]*\[([^\]]+)\]", expr):
            if window not in windows:
                yield f"window {window}"


def follows_job_and_instance(panel: Json) -> Iterator[str]:
    """target-job-rule, target-instance-rule: alerts have no instance"""
    for expr in _promql(panel):
        for selector in selectors(expr):
            matched = {one.name for one in selector.matchers.matchers}
            wanted = {"job"} if selector.name == "ALERTS" else {"job", "instance"}
            if selector.name not in ANYWHERE and not wanted <= matched:
                yield f"{selector.name} is of any job or instance"
        if '"$job"' not in expr and not any(name in expr for name in ANYWHERE):
            yield f"$job is not used: {expr}"


def counters_are_counted(panel: Json) -> Iterator[str]:
    """target-counter-agg-rule, and ours: no rate of a gauge"""
    for expr in _promql(panel):
        counted = set(COUNTING.findall(expr))
        for name in counted:
            if not name.endswith(("_total", "_bucket", "_sum", "_count")):
                yield f"rate of the gauge {name}"
        for selector in selectors(expr):
            if (selector.name or "").endswith("_total") and selector.name not in counted:
                yield f"{selector.name} as it is"


def names_are_known(panel: Json) -> Iterator[str]:
    """ours: every metric and every label that it matches or tells is one that midspan has"""
    names = known() | NOT_OF_US
    for target in panel["targets"]:
        if target["datasource"]["type"] != "prometheus":
            continue
        labels = {"job", "instance", "group"}
        for selector in selectors(target["expr"]):
            if selector.name not in names:
                yield f"{selector.name} is no metric of midspan"
                continue
            labels |= names[selector.name]
            for matcher in selector.matchers.matchers:
                if matcher.name not in labels:
                    yield f"{selector.name} has no label {matcher.name}"
        told = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
        if not told <= labels:
            yield f"legend tells {told - labels}"


def legend_tells_series_apart(panel: Json) -> Iterator[str]:
    """ours: every label that it is grouped by is in the legend"""
    for target in panel["targets"]:
        if target["datasource"]["type"] != "prometheus" or panel["type"] in ("stat", "table"):
            continue
        parsed = promql.parse(filled(target["expr"]))
        if isinstance(parsed, promql.AggregateExpr) and parsed.modifier is not None:
            missing = set(parsed.modifier.labels) - set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
            if missing:
                yield f"legend without {missing}"


def says_when_it_is_empty(panel: Json) -> Iterator[str]:
    """ours: a text for a cold start, or a zero"""
    if panel["fieldConfig"]["defaults"].get("noValue"):
        return
    for target in panel["targets"]:
        if not target["expr"].endswith("or vector(0)"):
            yield "empty without a word"


OF_A_DASHBOARD: tuple[Rule, ...] = (
    data_source_is_a_variable,
    job_and_instance_are_variables,
    variables_are_asked_for_again,
    cannot_be_edited,
    ids_are_unique,
    panels_do_not_overlap,
    leads_to_the_others,
    drills_down_with_what_was_chosen,
)
OF_A_PANEL: tuple[Rule, ...] = (
    has_title_and_description,
    has_a_unit,
    data_sources_are_variables,
    has_targets,
    parses,
    rates_follow_the_interval,
    follows_job_and_instance,
    counters_are_counted,
    names_are_known,
    legend_tells_series_apart,
    says_when_it_is_empty,
)


def findings(dashboard: Json) -> list[str]:
    """Everything that is wrong with it."""
    found = [f"{rule.__name__}: {one}" for rule in OF_A_DASHBOARD for one in rule(dashboard)]
    for panel in panels(dashboard):
        if broken := list(parses(panel)):
            found += [f"{panel['title']}: parses: {one}" for one in broken]
            continue
        found += [f"{panel['title']}: {rule.__name__}: {one}" for rule in OF_A_PANEL for one in rule(panel)]
    return found
