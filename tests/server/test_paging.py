from __future__ import annotations

import random
from urllib.parse import urljoin

import pytest

from midspan.server.paging import read_cursor, write_cursor
from midspan.tracking.tracker import ProgressRegistry


def walk(client, query: str) -> list[list[str]]:
    """The ids of each page, following the Link header from page to page."""
    pages, url = [], f"/v1/operations?{query}"
    while url:
        answer = client.get(url)
        assert answer.status_code == 200, answer.text
        pages.append([row["operation_id"] for row in answer.json()["operations"]])
        assert ("next" in answer.links) == (answer.json()["next_cursor"] is not None)
        url = urljoin(str(answer.url), answer.links["next"]["url"]) if "next" in answer.links else ""
    return pages


@pytest.fixture
def many(registry: ProgressRegistry, clock) -> set[str]:
    """1,200 operations, dozens of them created in the same instant, some still running."""
    chance = random.Random(4)
    for number in range(1200):
        tracker = registry.create_tracker(f"op-{number}", "batch" if number % 3 else "agent")
        if number % 5:
            tracker.complete()
        clock.advance(chance.choice([0.0, 0.0, 0.0, 0.001, 0.1]))
    return {f"op-{number}" for number in range(1200)}


def test_pages_reach_each_of_1200_operations_exactly_once(client, many: set[str]) -> None:
    pages = walk(client, "limit=100")
    found = [each for page in pages for each in page]
    assert [len(page) for page in pages] == [100] * 12
    assert len(found) == 1200
    assert many == set(found)


@pytest.mark.usefixtures("many")
def test_filters_hold_on_every_page(client) -> None:
    found = [each for page in walk(client, "type=agent&status=completed,failed&limit=50") for each in page]
    assert {f"op-{number}" for number in range(0, 1200, 3) if number % 5} == set(found)
    assert len(found) == len(set(found))


@pytest.mark.usefixtures("many")
def test_a_page_holds_50_operations_unless_asked_otherwise(client) -> None:
    assert len(client.get("/v1/operations").json()["operations"]) == 50
    assert len(client.get("/v1/operations?limit=500").json()["operations"]) == 500


def test_operations_that_come_and_go_between_pages_shift_nothing(client, registry, many: set[str]) -> None:
    first = client.get("/v1/operations?limit=400").json()
    seen = [row["operation_id"] for row in first["operations"]]
    for gone in seen[:100]:
        registry.remove(gone)
    for number in range(50):
        registry.create_tracker(f"new-{number}")
    for page in walk(client, f"limit=400&cursor={first['next_cursor']}"):
        seen += page
    assert len(seen) == 1200
    assert many == set(seen)


def test_the_last_page_has_no_successor(client, registry) -> None:
    for number in range(3):
        registry.create_tracker(f"op-{number}")
    answer = client.get("/v1/operations?limit=3")
    assert answer.json()["next_cursor"] is None
    assert "link" not in answer.headers


def test_an_empty_registry_has_one_empty_page(client) -> None:
    assert client.get("/v1/operations").json() == {"operations": [], "next_cursor": None}


@pytest.mark.parametrize("created_at", [0.0, 0.1 + 0.2, 1_700_000_000.123456789, 2.0**53])
def test_a_cursor_gives_its_position_back_to_the_last_bit(created_at: float) -> None:
    assert (created_at, "a:b_c-d.e") == read_cursor(write_cursor((created_at, "a:b_c-d.e")))
