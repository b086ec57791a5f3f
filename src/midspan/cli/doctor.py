"""`midspan doctor`: what is installed, patched and reachable, which settings hold, what to do about problems."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from itertools import groupby

import msgspec

from midspan.cli import in_force
from midspan.cli.findings import Finding
from midspan.cli.installed import found_midspan, found_tools
from midspan.cli.reachable import found_collectors, found_server
from midspan.cli.sdks import found_providers
from midspan.cli.wrong_use import Parser

_MARKS = {"ok": "ok", "info": "--", "problem": "!!"}


def main(arguments: Sequence[str]) -> int:
    """Looks, and tells on stdout; returns 1 if there is a problem, else 0. Raises WrongUseError."""
    options = _parser().parse_args(arguments)
    # What would be logged is a finding here.
    logging.disable(logging.CRITICAL)
    try:
        findings = list(_findings())
    finally:
        logging.disable(logging.NOTSET)
    problems = sum(finding.state == "problem" for finding in findings)
    print(_json(findings, problems) if options.json else "\n".join(_lines(findings, problems)))
    return 1 if problems else 0


def _parser() -> Parser:
    parser = Parser(
        prog="midspan doctor",
        usage="midspan doctor [--json]",
        description="Looks at this Python and this environment: run it as the application is run.",
        epilog="exit status: 0 without a problem, 1 with one, 2 for wrong use",
        allow_abbrev=False,
    )
    parser.add_argument("--json", action="store_true", help="one JSON object in place of lines")
    return parser


def _findings() -> Iterator[Finding]:
    settings, error = in_force.load()
    yield from found_midspan()
    yield from found_providers()
    yield from found_tools()
    yield from in_force.found_settings(settings, error)
    yield found_server(settings)
    yield from found_collectors()


def _json(findings: list[Finding], problems: int) -> str:
    return msgspec.json.encode({"problems": problems, "findings": findings}).decode()


def _lines(findings: list[Finding], problems: int) -> Iterator[str]:
    for section, found in groupby(findings, key=lambda finding: finding.section):
        yield section
        for finding in found:
            yield f"  {_MARKS[finding.state]}  {finding.name}: {finding.said}"
            if finding.advice is not None:
                yield f"      {finding.advice}"
    yield ""
    yield "no problem was found" if not problems else f"{problems} problem{'' if problems == 1 else 's'}, marked !!"
