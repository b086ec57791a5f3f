"""One page for each alert: what it means, and what to do. The pages' texts are in `runbooks/`, beside this file."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from string import Template
from typing import Final

from midspan.grafana.options import Options
from midspan.grafana.rule_alerts import Alert
from midspan.grafana.rules import alerts

TEXTS: Final = Path(__file__).with_name("runbooks")
_WRITTEN: Final = "<!-- Written by `midspan grafana export`. Do not edit: export again. -->\n"
_HEAD: Final = """\
# {name}

| severity | the query must hold for | labels | dashboard |
|---|---|---|---|
{rows}

"""
_SILENCE: Final = """\
```
amtool silence add --alertmanager.url=http://localhost:9093 --duration=2h --comment='why' \\
  alertname={name} {job}=JOB
```

Name the application, and the operation too (`midspan_operation_name=`) where the alert has it: a silence for all of
them hides the next one. Take it away when it is over: `amtool silence expire ID`."""


def write(options: Options) -> dict[str, str]:
    """Every page by its file name; `README.md` is the table of them."""
    named = groupby(sorted(alerts(options), key=_name), key=_name)
    pages = {f"{name}.md": _page(options, name, list(rules)) for name, rules in named}
    return {**pages, "README.md": f"{_WRITTEN}# Alerts\n\n{table(options)}\n"}


def table(options: Options, folder: str = "") -> str:
    """All alerts in a table of Markdown: how urgent, after how long, and when. Their pages are below `folder`."""
    rows = [
        f"| [{one.name}]({folder}{one.name}.md) | {one.severity} | {one.wait or 'at once'} | {_when(one)} |"
        for one in alerts(options)
    ]
    return "\n".join(["| alert | severity | after | when |", "|---|---|---|---|", *rows])


def _when(alert: Alert) -> str:
    """The first sentence of its page."""
    text = (TEXTS / f"{alert.name}.md").read_text(encoding="utf-8").partition("## Meaning\n\n")[2]
    windows = "".join(f" {key} {value}," for key, value in alert.labels.items())
    sentence = " ".join(text.split()).partition(". ")[0]
    return f"{sentence} ({windows.strip(' ,')})" if windows else sentence


def _name(alert: Alert) -> str:
    return alert.name


def _page(options: Options, name: str, rules: list[Alert]) -> str:
    text = Template((TEXTS / f"{name}.md").read_text(encoding="utf-8"))
    given = {
        "query": "\n\n".join(f"```promql\n{rule.expr}\n```" for rule in rules),
        "silence": _SILENCE.format(name=name, job=options.job_label),
        "job": options.job_label,
        "instance": options.instance_label,
    }
    rows = "\n".join(_row(rule) for rule in rules)
    return _WRITTEN + _HEAD.format(name=name, rows=rows) + text.substitute(given)


def _row(rule: Alert) -> str:
    labels = ", ".join(f"`{key}={value}`" for key, value in rule.labels.items()) or "none"
    return f"| {rule.severity} | {rule.wait or 'nothing: at once'} | {labels} | {rule.dashboard} |"
