"""What the documents say can be followed: links lead somewhere, commands and variables are there, examples run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from midspan import cli, settings
from midspan.testing import capture

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    page
    for pattern in ("*.md", "docs/**/*.md", "grafana/**/*.md", "examples/**/*.md", "benchmarks/**/*.md")
    for page in ROOT.glob(pattern)
)
README = ROOT / "README.md"
LINK = re.compile(r"\]\(([^)\s]+)\)")
COMMAND = re.compile(r"\bmidspan (run|serve|watch|top|demo|doctor|grafana export)\b((?: [^`|\n;&#]*)?)")


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


def anchors(page: Path) -> set[str]:
    """The headings, as they are linked to."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def dead_links(page: Path) -> Iterator[str]:
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if not link.startswith(("http:", "https:")) and not (
            target.exists() and (not anchor or anchor in anchors(target))
        ):
            yield link


def commands(page: Path) -> Iterator[tuple[str, str]]:
    """Each command of midspan and one option of it, whatever lines a code span goes over; none of a command behind."""
    text = page.read_text(encoding="utf-8")
    for span in re.findall(r"```\w*\n(.*?)```|`([^`]+)`", text, re.DOTALL):
        for name, rest in COMMAND.findall(" ".join(span[1].split()) if span[1] else span[0]):
            for option in re.findall(r"(?<!\S)--[a-z-]+", re.split(r" -- ", rest)[0]):
                yield name, option


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_link_of_a_page_leads_to_a_file_and_a_heading(page: Path) -> None:
    assert list(dead_links(page)) == []


def test_every_option_in_the_documents_is_one_of_its_command(capsys: pytest.CaptureFixture[str]) -> None:
    asked = {(*found, named(page)) for page in PAGES for found in commands(page)}
    assert {name for name, *_ in asked} >= {"serve", "grafana export"}
    known: dict[str, set[str]] = {}
    for name in {name for name, *_ in asked}:
        with pytest.raises(SystemExit):
            cli.main([*name.split(), "--help"])
        known[name] = set(re.findall(r"--[a-z-]+", capsys.readouterr().out))
    assert [each for each in sorted(asked) if each[1] not in known[each[0]]] == []


def test_every_make_target_in_the_documents_is_one() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    asked = {
        (target, named(page))
        for page in PAGES
        for target in re.findall(r"(?:`|^)make ([a-z-]+)", page.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert asked
    assert [each for each in sorted(asked) if each[0] not in targets] == []


def test_the_readme_has_every_setting_and_no_page_has_another() -> None:
    known = {settings.variable_of(field.name) for field in msgspec.structs.fields(settings.Settings)}
    table = set(
        re.findall(r"`((?:MIDSPAN|OTEL)_[A-Z_]+)`", README.read_text(encoding="utf-8").partition("\n## Settings")[2])
    )
    assert known <= table
    asked = {
        (name, named(page))
        for page in PAGES
        if page.parent.name != "adr"  # they tell of mistakes, too
        for name in re.findall(r"\bMIDSPAN_[A-Z_]*[A-Z]", page.read_text(encoding="utf-8"))
    }
    assert [each for each in sorted(asked) if each[0] not in known | settings.INTERNAL] == []


def test_every_page_of_docs_is_in_their_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert sorted(pages - set(LINK.findall(index))) == []


def test_the_readmes_example_of_reporting_runs_as_it_stands(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = [block for block in re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
               if "ProgressStream" in block]  # fmt: skip
    with capture() as captured:
        exec(compile(code, str(README), "exec"), {"__name__": "example"})
    assert capsys.readouterr().out.splitlines()[-1] == "All files processed"
    assert {operation.name for operation in captured.operations} == {"process_files", "import", "file_transfer"}
    assert {operation.status for operation in captured.operations} == {"completed"}
