"""The rules, the runbooks and the example for Alertmanager: as committed, for every set-up, and of our metrics only."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml

from midspan.core.metrics import COMMON, HISTOGRAMS, METRICS
from midspan.grafana import rule_alertmanager, rule_files, rule_runbooks, rules
from midspan.grafana.options import JOB_LABELS, BadOptionError, Options, Thresholds
from midspan.grafana.yaml_text import dump
from midspan.telemetry.live import LIVE
from midspan.telemetry.prometheus import exposed
from tests.grafana.promtool import GRAFANA, TESTS, amtool, promtool

DEFAULT = Options()
OTHER = Options(job_label="service_name", slo=0.995, critical=("video", "llm_request"), thresholds=Thresholds(0.1, 2.0))
HEADINGS = [
    "## Meaning",
    "## Impact",
    "## Query to run",
    "## Likely causes",
    "## Mitigation",
    "## How to silence",
    "## Drill: make it fire",
]


def alerting(options: Options) -> list[dict[str, Any]]:
    """The alerting rules as Prometheus reads them."""
    groups: list[dict[str, Any]] = yaml.safe_load(rules.to_yaml(options))["groups"]
    return [rule for group in groups for rule in group["rules"] if "alert" in rule]


def names(options: Options) -> set[str]:
    return {rule["alert"] for rule in alerting(options)}


# --- written as committed ---------------------------------------------------------------------------


@pytest.mark.parametrize("path", rule_files.write(DEFAULT))
def test_what_is_committed_is_what_is_written(path: str) -> None:
    assert (GRAFANA / path).read_text() == rule_files.write(DEFAULT)[path]


def test_every_alert_has_its_runbook_and_every_runbook_its_alert() -> None:
    pages = {path.stem for path in (GRAFANA / "runbooks").glob("*.md")}
    texts = {path.stem for path in rule_runbooks.TEXTS.glob("*.md")}
    assert pages - {"README"} == texts == names(DEFAULT)


def test_the_table_of_runbooks_has_a_row_for_each_alert() -> None:
    rows = (GRAFANA / "runbooks" / "README.md").read_text().splitlines()[5:]
    assert [re.findall(r"\[(\w+)\]\((\w+)\.md\)", row) for row in rows] == [
        [(rule["alert"], rule["alert"])] for rule in alerting(DEFAULT)
    ]


@pytest.mark.parametrize("name", sorted(names(DEFAULT)))
def test_a_runbook_has_everything_that_one_looks_for(name: str) -> None:
    page = (GRAFANA / "runbooks" / f"{name}.md").read_text()
    assert re.findall(r"(?m)^## .*", page) == HEADINGS
    assert all(rule["expr"] in page for rule in alerting(DEFAULT) if rule["alert"] == name)
    assert "error_type" in page and f"alertname={name}" in page


def test_the_manifest_has_the_same_groups() -> None:
    manifest = yaml.safe_load(rules.prometheus_rule(OTHER))
    assert (manifest["apiVersion"], manifest["kind"]) == ("monitoring.coreos.com/v1", "PrometheusRule")
    assert manifest["spec"]["groups"] == yaml.safe_load(rules.to_yaml(OTHER))["groups"] == rules.build(OTHER)


@pytest.mark.parametrize("value", [
    {"on": "off", "a": ["1", 1, True, "x: y", "#", "", "- z", "5m", 'say "no"'], "empty": {"list": [], "map": {}}},
    {"text": "one\n  two\n\nthree", "list": [["a", {"b": "c"}], {"d": {"e": "\u00e9\u2026"}}]},
])  # fmt: skip
def test_what_is_dumped_is_read_again_as_it_was(value: Any) -> None:
    assert yaml.safe_load(dump(value)) == value


# --- what Prometheus and Alertmanager say -----------------------------------------------------------


@pytest.mark.parametrize("options", [DEFAULT, OTHER, *(Options(job_label=label) for label in JOB_LABELS)], ids=str)
def test_promtool_reads_the_rules_of_every_set_up(options: Options, tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text(rules.to_yaml(options))
    done = promtool("check", "rules", "--lint=all", "--lint-fatal", file)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("options", [DEFAULT, OTHER], ids=["default", "other"])
def test_every_query_of_a_runbook_can_be_asked(options: Options, tmp_path: Path) -> None:
    asked = [{"record": f"q:{number}", "expr": query} for number, query in enumerate(queries(options))]
    file = tmp_path / "queries.yaml"
    file.write_text(json.dumps({"groups": [{"name": "runbooks", "rules": asked}]}))
    done = promtool("check", "rules", file)
    assert done.returncode == 0 and len(asked) > 24, done.stdout + done.stderr


@pytest.mark.parametrize("options", [DEFAULT, OTHER], ids=["default", "other"])
def test_amtool_reads_the_example_for_alertmanager(options: Options, tmp_path: Path) -> None:
    file = tmp_path / "alertmanager.yml"
    file.write_text(rule_alertmanager.to_yaml(options))
    done = amtool("check-config", file)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("severity", "receiver"), [("critical", "page"), ("warning", "notify"), ("info", "nobody")])
def test_a_severity_finds_its_receiver(severity: str, receiver: str) -> None:
    route = ["config", "routes", "test", f"--config.file={GRAFANA / 'alertmanager.yml'}", f"severity={severity}"]
    done = amtool(*route)
    assert done.stdout.strip() == receiver, done.stderr


def test_an_inhibition_is_about_alerts_and_labels_that_there_are() -> None:
    given = yaml.safe_load((GRAFANA / "alertmanager.yml").read_text())["inhibit_rules"]
    matchers = " ".join(chain.from_iterable(rule["source_matchers"] + rule["target_matchers"] for rule in given))
    assert set(re.findall(r"Midspan\w+", matchers)) <= names(DEFAULT)
    assert set(chain.from_iterable(rule["equal"] for rule in given)) <= labels() | {"job", "instance", "alertname"}


# --- of our metrics only ----------------------------------------------------------------------------


def labels() -> set[str]:
    """Every label of our metrics."""
    rows = [*METRICS, *HISTOGRAMS, *LIVE]
    return {exposed(label) for row in rows for label in row.labels} | {"version", "python"}


def series() -> set[str]:
    """Every name that our page has in Prometheus."""
    plain = {exposed(row.name, row.unit) + ("_total" if row.kind == "counter" else "") for row in (*METRICS, *LIVE)}
    histograms = {exposed(row.name, row.unit) for row in HISTOGRAMS}
    parts = {f"{name}_{part}" for name in histograms for part in ("bucket", "sum", "count")}
    return plain | parts | {"midspan_build_info"}


def words(text: str) -> set[str]:
    """What looks like one of our names; a recorded one is a series of Prometheus itself."""
    bare = re.sub(r"\w+:[\w:]+", "", text)
    return set(re.findall(r"\b(?:midspan|gen_ai|error)_\w+", bare))


def queries(options: Options) -> Iterator[str]:
    """Every query of every runbook."""
    for page in rule_runbooks.write(options).values():
        yield from re.findall(r"```promql\n(.*?)\n```", page, re.DOTALL)


def recorded(options: Options) -> set[str]:
    groups: list[dict[str, Any]] = yaml.safe_load(rules.to_yaml(options))["groups"]
    return {rule["record"] for group in groups for rule in group["rules"] if "record" in rule}


@pytest.mark.parametrize("options", [DEFAULT, OTHER], ids=["default", "other"])
def test_rules_and_runbooks_name_only_what_the_table_of_metrics_has(options: Options) -> None:
    texts = [rules.to_yaml(options), rule_alertmanager.to_yaml(options), *queries(options)]
    unknown = set[str]().union(*map(words, texts)) - series() - labels()
    assert unknown == set()
    used = set(re.findall(r"\bjob_\w+:[\w:]+", "".join(texts)))
    assert used == recorded(options)


@pytest.mark.parametrize("suite", sorted(TESTS.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_series_of_the_tests_are_ours(suite: Path) -> None:
    known = {exposed(label) for label in COMMON} | labels() | {"job", "instance", "le"}
    for given in re.findall(r"(?m)^ +- series: (.*)$", suite.read_text()):
        name, rest = re.fullmatch(r"(\w+)\{(.*)\}", given).groups()  # pyright: ignore[reportOptionalMemberAccess]
        assert name in series() | {"up", "process_start_time_seconds"}, given
        assert set(re.findall(r"(\w+)=", rest)) <= known, given


# --- every alert ------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", alerting(OTHER), ids=lambda rule: rule["alert"])
def test_an_alert_says_how_urgent_it_is_and_where_to_look(rule: dict[str, Any]) -> None:
    told = rule["annotations"]
    assert rule["labels"]["severity"] in ("critical", "warning", "info")
    assert set(told) == {"summary", "description", "runbook_url", "dashboard_url"}
    assert told["runbook_url"] == f"{OTHER.runbooks_url}/{rule['alert']}.md"
    assert told["summary"] != told["description"]
    # With a value, or, where that is only 0, with the process that it is about.
    assert "$value" in told["description"] or "$labels.instance" in told["description"]


@pytest.mark.parametrize("rule", alerting(DEFAULT), ids=lambda rule: rule["alert"])
def test_an_alert_links_to_a_dashboard_that_has_its_variables(rule: dict[str, Any]) -> None:
    boards = [json.loads(path.read_text()) for path in (GRAFANA / "dashboards").glob("*.json")]
    variables = {board["uid"]: {one["name"] for one in board["templating"]["list"]} for board in boards}
    url = re.sub(r"\{\{.*?\}\}", "x", rule["annotations"]["dashboard_url"])
    uid = url.partition("/d/")[2].partition("?")[0]
    assert set(re.findall(r"var-(\w+)=x", url)) <= variables[uid]


def test_every_label_that_a_text_names_comes_out_of_its_query() -> None:
    for rule in alerting(OTHER):
        named = set(re.findall(r"\$labels\.(\w+)", " ".join(rule["annotations"].values())))
        ours = named - {"job", "instance"} if rule["alert"] == "MidspanScrapeDown" else named
        kept = set(re.findall(r"\w+", " ".join(re.findall(r"by \(([^)]*)\)", rule["expr"]))))
        whole = (
            {exposed(label) for label in LIVE[0].labels} | {"service_name"} if "midspan_live" in rule["expr"] else set()
        )
        through = (
            {"service_name", "midspan_operation_type", "midspan_operation_name"} if "job_op" in rule["expr"] else set()
        )
        assert ours <= kept | whole | through, rule["alert"]


# --- set-ups ----------------------------------------------------------------------------------------


def expr(options: Options, name: str) -> str:
    return " ".join(rule["expr"] for rule in alerting(options) if rule["alert"] == name)


def test_a_set_up_s_job_label_budget_types_and_thresholds_are_in_its_rules() -> None:
    text = rules.to_yaml(OTHER)
    assert "by (service_name, service_instance_id," in text and "by (job" not in text
    assert "14.4 * 0.005" in text
    assert 'type=~"video|llm_request"' in expr(OTHER, "MidspanOperationFailed")
    assert "> 0.1\n" in expr(OTHER, "MidspanFailureRatio") and "> 2\n" in expr(OTHER, "MidspanSlowFirstChunk")


def test_only_long_types_can_be_lost() -> None:
    assert 'type=~"video"' in expr(OTHER, "MidspanOperationsLost")
    assert "llm_request" not in expr(OTHER, "MidspanOperationsLost")
    assert "MidspanOperationsLost" not in names(Options(critical=("llm_request", "embedding")))


def test_a_speed_at_which_no_budget_can_burn_is_no_rule() -> None:
    burns = [rule["labels"]["long"] for rule in alerting(Options(slo=0.9)) if rule["alert"] == "MidspanErrorBudgetBurn"]
    assert burns == ["6h", "1d", "3d"]


@pytest.mark.parametrize(("seconds", "wait"), [(0.0, None), (15.0, "15s")])
def test_how_long_a_process_must_be_gone_is_said(seconds: float, wait: str | None) -> None:
    options = Options(thresholds=Thresholds(lost_after=seconds))
    assert [rule.get("for") for rule in alerting(options) if rule["alert"] == "MidspanOperationsLost"] == [wait]


@pytest.mark.parametrize("seconds", [-1.0, 91.0, float("nan")])
def test_a_process_cannot_be_waited_for_longer_than_its_restart_is_seen(seconds: float) -> None:
    with pytest.raises(BadOptionError, match="lost_after"):
        Thresholds(lost_after=seconds)
