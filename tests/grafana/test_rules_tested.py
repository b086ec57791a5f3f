"""promtool's tests of the rules pass, and each rule that is broken by hand makes them fail for the right reason."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.grafana.mutations import MUTATIONS, Mutation
from tests.grafana.promtool import RULES, SUITES, TESTS, verdict


@pytest.mark.parametrize("suite", SUITES)
def test_the_rules_do_what_the_suite_says(suite: str, tmp_path: Path) -> None:
    assert verdict((TESTS / f"{suite}.yaml").read_text(), RULES.read_text(), tmp_path) == ""


def test_every_broken_rule_is_noticed(tmp_path: Path, tell: Callable[[str], None]) -> None:
    """All in one test: promtool takes most of a second for each, and two at once is what a small machine can do."""
    rules = RULES.read_text()

    def survives(mutation: Mutation) -> str | None:
        tests = mutation.concerned((TESTS / f"{mutation.suite}.yaml").read_text())
        said = verdict(tests, mutation.applied(rules), tmp_path / str(id(mutation)))
        if not said:
            return f"{mutation.title}: nobody has noticed"
        # A query that cannot be read is no test of the tests.
        return f"{mutation.title}: {said}" if "FAILED" not in said or "parse error" in said else None

    with ThreadPoolExecutor(2) as pool:
        survivors = [said for said in pool.map(survives, MUTATIONS) if said]
    tell(f"{len(MUTATIONS) - len(survivors)} of {len(MUTATIONS)} broken rules are noticed")
    assert survivors == []
