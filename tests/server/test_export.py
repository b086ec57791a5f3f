"""Operations as a file."""

from __future__ import annotations

import csv
import io
import json

import pytest

from midspan.server.export import COLUMNS, csv_cell
from midspan.tracking.tracker import ProgressRegistry


def read_csv(answer) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(answer.content.decode(), newline="")))


@pytest.fixture
def many(registry: ProgressRegistry, clock) -> list[str]:
    """250 operations, more than are written at a time."""
    for number in range(250):
        registry.create_tracker(f"op{number:03}", "batch" if number % 2 else "agent").complete(f'«{number}», "done"')
        clock.advance(1)
    return [f"op{number:03}" for number in reversed(range(250))]


@pytest.mark.parametrize(
    ("name", "kind"),
    [("csv", "text/csv; charset=utf-8"), ("json", "application/json"), ("ndjson", "application/x-ndjson")],
)
def test_every_format_has_every_operation_newest_first(client, many: list[str], name: str, kind: str) -> None:
    answer = client.get(f"/v1/export?format={name}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, kind)
    assert answer.headers["content-disposition"] == f'attachment; filename="midspan-operations.{name}"'
    read = {
        "csv": lambda: read_csv(answer),
        "json": answer.json,
        "ndjson": lambda: [json.loads(line) for line in answer.text.splitlines()],
    }
    rows = read[name]()
    assert [row["operation_id"] for row in rows] == many
    assert rows[0]["message"] == '«249», "done"'


def test_csv_is_the_default_and_has_one_column_for_each_part(client, registry) -> None:
    tracker = registry.create_tracker("one", metadata={"k": "v"}, provider="openai", model="m")
    tracker.fail(ValueError("no, not at all"))
    answer = client.get("/v1/export")
    (row,) = read_csv(answer)
    assert tuple(row) == COLUMNS
    assert (row["status"], row["error_type"], row["error_message"]) == ("failed", "ValueError", "no, not at all")
    assert (row["metadata"], row["provider"], row["tokens_input"]) == ('{"k":"v"}', "openai", "")


def test_an_export_is_filtered_like_a_list(client, many: list[str]) -> None:
    rows = client.get("/v1/export?format=json&type=agent&status=completed").json()
    assert [row["operation_id"] for row in rows] == [name for name in many if int(name[2:]) % 2 == 0]


def test_nothing_is_an_empty_file(client) -> None:
    assert client.get("/v1/export").text == ",".join(COLUMNS) + "\r\n"
    assert client.get("/v1/export?format=json").json() == []
    assert client.get("/v1/export?format=ndjson").content == b""


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_text_that_begins_like_a_formula_is_none(text: str) -> None:
    assert csv_cell(text) == f"'{text}"


@pytest.mark.parametrize("value", ["a=1", "", -1, -0.5, None, True])
def test_other_cells_are_as_they_are(value: object) -> None:
    assert csv_cell(value) is value


def test_a_formula_in_a_message_does_not_reach_the_spreadsheet(client, registry) -> None:
    registry.create_tracker("one", name='=HYPERLINK("http://x")').complete("@SUM(A1)")
    (row,) = read_csv(client.get("/v1/export"))
    assert (row["name"], row["message"]) == ('\'=HYPERLINK("http://x")', "'@SUM(A1)")


@pytest.mark.parametrize(("query", "name"), [("format=xml", "format"), ("limit=5", "limit"), ("status=x", "status")])
def test_a_wrong_query_is_a_problem_that_names_the_parameter(client, query: str, name: str) -> None:
    answer = client.get(f"/v1/export?{query}")
    assert (answer.status_code, answer.json()["parameter"]) == (400, name)


@pytest.mark.usefixtures("many")
def test_head_has_the_headers_only(client) -> None:
    answer = client.head("/v1/export?format=json")
    assert (answer.status_code, answer.headers["content-type"], answer.content) == (200, "application/json", b"")
