"""A row names the address at which its operation's trace is shown."""

from __future__ import annotations

import pytest

from midspan.server.answers import row
from midspan.server.links import linked, trace_url
from midspan.tracking.tracker import ProgressRegistry
from tests.cli.conftest import row as read_row
from tests.server.conftest import Serving

TEMPLATE = "https://traces.example/t/{trace_id}?span={span_id}"
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def with_span(registry: ProgressRegistry) -> str:
    tracker = registry.create_tracker()
    registry.bind_span(tracker.state, TRACE, SPAN)
    return tracker.operation_id


def test_the_address_is_the_template_filled_in(registry: ProgressRegistry) -> None:
    operation = registry.get(with_span(registry))
    assert operation is not None
    assert trace_url(TEMPLATE, operation) == f"https://traces.example/t/{TRACE}?span={SPAN}"
    assert linked(row, TEMPLATE)(operation)["trace_url"] == f"https://traces.example/t/{TRACE}?span={SPAN}"


def test_other_braces_of_the_template_stay(registry: ProgressRegistry) -> None:
    operation = registry.get(with_span(registry))
    assert operation is not None
    template = 'https://grafana.example/explore?left={"query":"{trace_id}"}'
    assert trace_url(template, operation) == f'https://grafana.example/explore?left={{"query":"{TRACE}"}}'


@pytest.mark.parametrize("template", [None, TEMPLATE])
def test_without_a_template_or_a_trace_there_is_no_address(registry: ProgressRegistry, template: str | None) -> None:
    untraced = registry.get(registry.create_tracker().operation_id)
    traced = registry.get(with_span(registry))
    assert untraced is not None and traced is not None
    assert trace_url(template, untraced) is None
    assert trace_url(None, traced) is None
    assert linked(row, template)(untraced)["trace_url"] is None


def test_a_row_read_back_has_an_address_too() -> None:
    assert trace_url(TEMPLATE, read_row(trace_id=TRACE)) == f"https://traces.example/t/{TRACE}?span="


def test_every_native_route_shows_the_address(registry: ProgressRegistry, serving: Serving) -> None:
    operation_id, expected = with_span(registry), f"https://traces.example/t/{TRACE}?span={SPAN}"
    with serving(registry, trace_url=TEMPLATE) as client:
        assert client.get(f"/v1/operations/{operation_id}").json()["trace_url"] == expected
        assert [row["trace_url"] for row in client.get("/v1/operations").json()["operations"]] == [expected]
        with client.stream("GET", f"/v1/operations/{operation_id}/stream") as stream:
            assert any(expected in line for line in stream.iter_lines())


def test_without_a_template_the_field_is_null(registry: ProgressRegistry, serving: Serving) -> None:
    operation_id = with_span(registry)
    with serving(registry) as client:
        assert client.get(f"/v1/operations/{operation_id}").json()["trace_url"] is None
