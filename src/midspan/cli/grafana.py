"""`midspan grafana export`: dashboards for Grafana and rules for Prometheus, for somebody's own set-up."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from midspan.cli.wrong_use import Parser, WrongUseError
from midspan.grafana.export import FORMATS, Files, files
from midspan.grafana.options import JOB_LABELS, THRESHOLDS, BadOptionError, Options, Thresholds

_DEFAULT = Options()


def main(arguments: Sequence[str]) -> int:
    """Writes the files and tells their paths on stdout; returns the exit status. Raises WrongUseError."""
    if not arguments or arguments[0] not in ("export", "-h", "--help"):
        said = f"unknown {arguments[0]!r}" if arguments else "no command given"
        raise WrongUseError(f"grafana: {said}; there is: export (midspan grafana export --help)")
    words = arguments[1:] if arguments[0] == "export" else arguments
    given = _parser().parse_args(words)
    try:
        options = _options(given)
    except BadOptionError as bad:
        raise WrongUseError(f"grafana export: {bad}") from None
    return _write(given.folder_to_write, files(options, given.format))


def _parser() -> Parser:
    parser = Parser(prog="midspan grafana export", description=__doc__, allow_abbrev=False)
    add = parser.add_argument
    add("--format", choices=tuple(FORMATS), default="classic", help="dashboards for Grafana 11 to 13, for 13 alone, a "
        "provisioning folder, or the rules for Prometheus' operator (default: classic)")  # fmt: skip
    add(
        "--job-label",
        default=_DEFAULT.job_label,
        metavar="LABEL",
        help=f"names an application: {', '.join(JOB_LABELS)}",
    )
    add(
        "--slo",
        default=_DEFAULT.slo,
        metavar="SHARE",
        help=f"of the operations that must not fail (default: {_DEFAULT.slo:g})",
    )
    add("--critical", default=",".join(_DEFAULT.critical), metavar="TYPES",
        help=f"of these types every failure is an alert (default: {','.join(_DEFAULT.critical)})")  # fmt: skip
    add("--datasource", default="", metavar="NAME", help="Prometheus in Grafana (default: Grafana's default)")
    add("--folder", default=_DEFAULT.folder, metavar="NAME", help=f"Grafana's folder (default: {_DEFAULT.folder})")
    add("--thresholds", default="", metavar="NAME=VALUE,...", help=f"of {', '.join(THRESHOLDS)}")
    add("--grafana-url", default=_DEFAULT.grafana_url, metavar="URL", help="for the links in alerts")
    add("--runbooks-url", default=_DEFAULT.runbooks_url, metavar="URL", help="where you keep the exported runbooks, "
        "for the links in alerts (default: their path in what is exported, a name and no link)")  # fmt: skip
    add("folder_to_write", type=Path, metavar="DIR", help="where to write; it is made where it is not there")
    return parser


def _options(given: argparse.Namespace) -> Options:
    return Options(
        job_label=given.job_label,
        slo=_number("SLO", str(given.slo), "a share between 0 and 1, as 0.99 is"),
        critical=tuple(part.strip() for part in given.critical.split(",") if part.strip()),
        datasource=given.datasource,
        folder=given.folder,
        thresholds=_thresholds(given.thresholds),
        grafana_url=given.grafana_url.rstrip("/"),
        runbooks_url=given.runbooks_url.rstrip("/"),
    )


def _thresholds(text: str) -> Thresholds:
    given: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, value = part.partition("=")
        if name not in THRESHOLDS:
            raise BadOptionError(f"threshold {name!r}: accepted are {', '.join(THRESHOLDS)}, as in failure_ratio=0.05")
        given[name] = _number(f"threshold {name}", value, "a number")
    return Thresholds(**given)


def _number(what: str, text: str, accepted: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise BadOptionError(f"{what} {text!r}: accepted is {accepted}") from None


def _write(folder: Path, written: Files) -> int:
    for name, text in written.items():
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise WrongUseError(f"grafana export: {path} cannot be written: {error.strerror}") from None
        print(path)
    print(f"{len(written)} files", file=sys.stderr)
    return 0
