"""What the page shows of operations, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from playwright.sync_api import Page, expect

from midspan.core import transitions
from midspan.core.operation import ErrorInfo, Status
from midspan.testing import FakeClock
from midspan.tracking.tracker import ProgressRegistry, ProgressTracker
from tests.server.page.conftest import Visit, row_of

EVIL = "<img src=x onerror=\"window.hit='x'\"><script>window.hit='s'</script>"


def track(registry: ProgressRegistry, operation_id: str, **options: Any) -> ProgressTracker:
    return ProgressTracker(operation_id=operation_id, registry=registry, **options)


def tell(registry: ProgressRegistry) -> None:
    """What the pulse does ten times a second."""
    registry.pulse(registry.clock())


def figure(page: Page, name: str) -> Any:
    return page.locator(f"[data-figure={name}] dd")


# --- the lists ----------------------------------------------------------------------------------


def test_an_empty_page_tells_the_one_command_to_see_something(page: Page, registry: ProgressRegistry) -> None:
    expect(page.locator("#empty code").first).to_have_text("midspan run -- python app.py")
    expect(page.locator("#running")).to_be_hidden()
    track(registry, "first").start()
    expect(row_of(page, "first")).to_be_visible()
    expect(page.locator("#empty")).to_be_hidden()


def test_s3_16_20_progress_rises_and_the_ending_moves_to_the_recent_ones(
    page: Page, registry: ProgressRegistry
) -> None:
    tracker = track(registry, "load", name="load files", total=200, unit="rows")
    tracker.advance(84)
    tell(registry)
    row = row_of(page, "load")
    expect(row.locator(".numbers")).to_have_text("42 %84 of 200 rows")
    assert row.locator("progress").evaluate("bar => bar.value") == 0.42
    row.evaluate("row => { row.marked = true }")
    tracker.advance(66)
    tell(registry)
    expect(row.locator(".numbers")).to_have_text("75 %150 of 200 rows")
    assert row.evaluate("row => row.marked"), "the element was made anew"
    tracker.complete()
    expect(row.locator(".doing")).to_have_text("completed")
    expect(page.locator("#recent-list [data-id=load]")).to_be_visible()
    expect(page.locator("#running-list li")).to_have_count(0)


def test_what_had_ended_before_is_among_the_recent_ones(visit: Visit, client: httpx2.Client, registry) -> None:
    track(registry, "old", name="old one").complete("all done")
    page = visit(client.base_url)
    expect(page.locator("#recent-list [data-id=old]")).to_contain_text("all done")


def test_unknown_progress_is_indeterminate_and_not_zero(page: Page, registry: ProgressRegistry) -> None:
    track(registry, "call").enter_stage("streaming_response")
    bar = row_of(page, "call").locator("progress")
    expect(bar).not_to_have_attribute("value", re.compile(".*"))
    expect(row_of(page, "call").locator(".numbers")).to_have_text("")
    expect(row_of(page, "call").locator(".doing")).to_have_text("streaming response")


def test_remaining_time_has_its_range(visit: Visit, serving, clock: FakeClock) -> None:
    registry = ProgressRegistry(clock=clock)
    tracker = track(registry, "eta", total=100)
    for seconds in (9, 11, 10, 12):
        clock.advance(seconds)
        tracker.advance(10)
    with serving(registry) as client:
        page = visit(client.base_url)
        expect(row_of(page, "eta").locator(".long p").nth(1)).to_have_text(
            re.compile(r"^(\d\d s|1 min) left \(\d.+ (s|min)\)$")
        )
        expect(row_of(page, "eta").locator(".elapsed")).to_have_text(re.compile(r"^3\d s$"))


def test_on_the_narrowest_phone_names_and_times_are_not_cut_off(visit: Visit, serving, clock: FakeClock) -> None:
    registry = ProgressRegistry(clock=clock)
    tracker = track(registry, "flow", name="nightly import", total=100)
    track(registry, "part", parent="flow").start()
    for seconds in (209, 211, 210):
        clock.advance(seconds)
        tracker.update(message="rows")
        tracker.advance(10)
    with serving(registry) as client:
        page = visit(client.base_url, viewport={"width": 320, "height": 700}, is_mobile=True)
        name = row_of(page, "flow").locator(".name")
        expect(row_of(page, "flow").locator(".long")).to_contain_text("left")
        assert name.evaluate("name => name.scrollWidth <= name.clientWidth")
        name.click()
        line = page.locator("#detail .timeline li").last
        expect(line.locator("time")).to_have_text("+10 min 30 s")
        ends, begins, ends_type, says = line.evaluate(
            """line => { const [time, type, said] = line.children; const at = document.createRange();
                const text = (of) => (at.selectNodeContents(of), at.getBoundingClientRect());
                return [text(time).right, text(type).left, text(type).right, text(said).left]; }"""
        )
        assert ends < begins and ends_type < says


def test_a_stalled_one_is_marked(visit: Visit, serving, clock: FakeClock) -> None:
    registry = ProgressRegistry(clock=clock)
    track(registry, "stuck", stall_after=30).update(progress=0.3)
    track(registry, "fine").update(progress=0.3)
    with serving(registry) as client:
        page = visit(client.base_url)
        row = row_of(page, "stuck")
        expect(row).to_have_attribute("data-state", "running")
        clock.advance(45)
        tell(registry)
        expect(row).to_have_attribute("data-state", "stalled")
        expect(row.locator(".notice")).to_have_text(re.compile(r"^stalled \d"))
        expect(figure(page, "stalled")).to_have_text("1")
        page.get_by_role("radio", name="Stalled").check()
        expect(page.locator("#running-list li")).to_have_count(1)


def test_waiting_for_a_retry_is_shown_with_its_attempt(page: Page, registry: ProgressRegistry) -> None:
    tracker = track(registry, "limited", operation_type="llm_request")
    tracker.apply(lambda state, now: transitions.retry(state, now, 3))
    tracker.apply(lambda state, now: transitions.wait_to_retry(state, now, 90, "rate_limit"))
    row = row_of(page, "limited")
    expect(row).to_have_attribute("data-state", "waiting")
    expect(row.locator(".notice")).to_have_text(re.compile(r"rate limit, next try in (1|2) min · attempt 3"))


def test_children_stand_below_their_parent_and_fold(page: Page, registry: ProgressRegistry) -> None:
    track(registry, "other").start()
    for name in ("flow", "part", "detail"):
        parent = {"part": "flow", "detail": "part"}.get(name)
        track(registry, name, parent=parent).start()
    expect(page.locator("#running-list li")).to_have_count(4)
    shown = page.locator("#running-list li").evaluate_all(
        "rows => rows.map(row => [row.dataset.id, row.dataset.depth])"
    )
    assert shown == [["other", None], ["flow", None], ["part", "1"], ["detail", "2"]]
    fold = row_of(page, "flow").locator(".fold")
    expect(fold).to_have_attribute("aria-expanded", "true")
    fold.click()
    expect(page.locator("#running-list li")).to_have_count(2)
    expect(fold).to_have_attribute("aria-expanded", "false")


def test_of_very_many_some_are_drawn_and_the_rest_counted(page: Page, registry: ProgressRegistry) -> None:
    for number in range(500):
        track(registry, f"op-{number:03}").start()
    expect(figure(page, "running")).to_have_text("500")
    expect(page.locator("#running-list li")).to_have_count(100)
    more = page.locator("#running-more")
    expect(more).to_have_text("400 more")
    more.click()
    expect(page.locator("#running-list li")).to_have_count(200)


def test_statistics_are_those_of_the_window(visit: Visit, client: httpx2.Client, registry: ProgressRegistry) -> None:
    for number in range(4):
        tracker = track(registry, f"done-{number}")
        tracker.complete() if number else tracker.fail("broken")
    track(registry, "runs").start()
    page = visit(client.base_url)
    expect(figure(page, "running")).to_have_text("1")
    expect(figure(page, "success")).to_have_text("75 %")
    expect(figure(page, "p50")).to_have_text(re.compile(r"\d+ ms"))
    expect(figure(page, "p95")).to_have_text(re.compile(r"\d+ ms"))
    with page.expect_request("**/v1/statistics?window=1h"):
        page.select_option("#window", "1h")


# --- filter and search --------------------------------------------------------------------------


def test_search_and_filters_narrow_both_lists_and_live_in_the_address(page: Page, registry: ProgressRegistry) -> None:
    track(registry, "a", name="alpha", operation_type="batch").start()
    track(registry, "b", name="beta", operation_type="tool").start()
    track(registry, "c", name="gamma", operation_type="tool").fail("Alpha was missing")
    expect(page.locator("li.operation")).to_have_count(3)
    page.fill("#search", "ALPHA")
    expect(page.locator("li.operation")).to_have_count(2)
    page.select_option("#type", "tool")
    expect(page.locator("li.operation")).to_have_count(1)
    expect(page.locator("#running-none")).to_have_text("Nothing here matches.")
    page.reload()
    expect(page.locator("#search")).to_have_value("ALPHA")
    expect(page.locator("li.operation")).to_have_count(1)
    expect(row_of(page, "c")).to_be_visible()
    page.fill("#search", "")
    page.select_option("#type", "")
    page.get_by_role("radio", name="Failed").check()
    expect(page.locator("li.operation")).to_have_count(1)
    assert page.url.endswith("#status=failed")


def test_a_match_is_shown_with_what_it_belongs_to(page: Page, registry: ProgressRegistry) -> None:
    track(registry, "flow", name="nightly").start()
    track(registry, "one", name="first part", parent="flow").start()
    track(registry, "two", name="second part", parent="flow").start()
    page.fill("#search", "second")
    expect(page.locator("#running-list li")).to_have_count(2)
    expect(row_of(page, "flow")).to_be_visible()


def test_search_finds_what_ended_long_ago(visit: Visit, client: httpx2.Client, registry: ProgressRegistry) -> None:
    track(registry, "needle", name="needle").complete()
    for number in range(120):
        track(registry, f"hay-{number}").complete()
    page = visit(client.base_url)
    expect(page.locator("#recent-count")).to_have_text("100")
    page.fill("#search", "needle")
    expect(row_of(page, "needle")).to_be_visible()


# --- one operation ------------------------------------------------------------------------------


@pytest.fixture
def failed(registry: ProgressRegistry) -> ProgressTracker:
    tracker = track(registry, "bad", name="chat", model="gpt-4o", metadata={"tenant": "acme", "deep": [1, 2]})
    tracker.enter_stage("sending_request", "to the model")
    tracker.apply(lambda state, now: transitions.wait_to_retry(state, now, 0.1, "retry"))
    tracker.apply(lambda state, now: transitions.retry(state, now, 2))
    tracker.enter_stage("streaming_response")
    tracker.state.trace_id = "ab" * 16
    tracker.fail(ConnectionError("the peer hung up"))
    return tracker


def test_s3_19_a_failed_one_tells_all_about_itself(visit: Visit, serving, registry, failed: ProgressTracker) -> None:
    with serving(registry, trace_url="https://traces.example/{trace_id}") as client:
        page = visit(client.base_url)
        row_of(page, "bad").locator(".name").click()
        detail = page.locator("#detail")
        expect(page.locator("#detail-title")).to_have_text("chat gpt-4o")
        expect(detail.locator(".state")).to_have_text("failed: ConnectionError")
        expect(detail.locator(".head .said")).to_have_text("the peer hung up")
        expect(detail.locator(".attempts li")).to_have_count(2)
        stages = detail.locator(".stages .term")
        expect(stages).to_have_text(["sending request", "retrying", "sending request", "streaming response"])
        expect(detail.locator(".stages .number").first).to_have_text(re.compile(r"^[\d.]+ m?s$"))
        expect(detail.locator(".timeline li").first).to_contain_text("start")
        expect(detail.locator(".timeline li").last).to_contain_text("end")
        expect(detail).to_contain_text("acme")
        link = detail.get_by_role("link", name="open trace")
        expect(link).to_have_attribute("href", f"https://traces.example/{'ab' * 16}")
        expect(link).to_have_attribute("rel", "noopener noreferrer")


def test_the_detail_view_has_an_address_and_the_browser_goes_back(page: Page, failed: ProgressTracker) -> None:
    row_of(page, "bad").locator(".name").click()
    expect(page.locator("#detail")).to_be_visible()
    assert page.url.endswith("#op=bad")
    page.go_back()
    expect(page.locator("#detail")).to_be_hidden()
    page.go_forward()
    expect(page.locator("#detail")).to_be_visible()
    page.reload()
    expect(page.locator("#detail-title")).to_have_text("chat gpt-4o")


def test_a_running_one_is_followed_to_its_end_and_leads_to_its_parts(page: Page, registry: ProgressRegistry) -> None:
    flow, part = track(registry, "flow", name="nightly"), track(registry, "part", name="load", parent="flow")
    flow.enter_stage("reading")
    part.start()
    row_of(page, "flow").locator(".name").click()
    detail = page.locator("#detail")
    expect(detail.locator(".stages .term")).to_have_text(["reading"])
    flow.enter_stage("writing")
    expect(detail.locator(".stages .term")).to_have_text(["reading", "writing"])
    detail.locator(".below button").click()
    expect(page.locator("#detail-title")).to_have_text("load")
    detail.get_by_role("button", name="nightly").click()
    expect(page.locator("#detail-title")).to_have_text("nightly")
    flow.complete(result={"files": 4})
    expect(detail.locator(".state")).to_have_text("completed")
    expect(detail.locator("pre")).to_have_text('{\n  "files": 4\n}')


def test_one_that_is_not_kept_says_so(visit: Visit, client: httpx2.Client) -> None:
    page = visit(client.base_url, "/#op=gone")
    expect(page.locator("#detail [role=alert]")).to_have_text("This operation is not kept any more.")
    expect(page.locator("#detail progress")).to_be_hidden()


def test_one_that_is_not_kept_shows_nothing_of_the_one_before_it(page: Page, failed: ProgressTracker) -> None:
    row_of(page, "bad").locator(".name").click()
    expect(page.locator("#detail .state")).to_have_text("failed: ConnectionError")
    page.evaluate("location.hash = 'op=gone'")
    expect(page.locator("#detail-title")).to_have_text("gone")
    expect(page.locator("#detail .head")).to_have_text("")


def test_cancelling_is_there_for_what_can_be_cancelled_and_takes_two_presses(
    page: Page, registry: ProgressRegistry, eventually: Callable[..., None]
) -> None:
    plain, asked = track(registry, "plain"), track(registry, "asked")
    plain.start()
    assert not asked.cancel_requested
    asked.start()
    row_of(page, "plain").locator(".name").click()
    expect(page.locator("#detail .facts")).to_be_visible()
    button = page.locator("#detail .danger")
    expect(button).to_be_hidden()
    page.keyboard.press("Escape")
    row_of(page, "asked").locator(".name").click()
    button.click()
    assert not asked.cancel_requested
    expect(button).to_have_text("Press again to cancel it")
    button.click()
    eventually(lambda: asked.cancel_requested)
    expect(button).to_be_disabled()
    asked.cancel("as asked")
    expect(page.locator("#detail .state")).to_have_text("cancelled")
    expect(button).to_be_hidden()


# --- text of strangers --------------------------------------------------------------------------


def evil(registry: ProgressRegistry, operation_id: str) -> ProgressTracker:
    """An operation with a script in every text."""
    tracker = track(
        registry,
        operation_id,
        name=EVIL,
        operation_type=EVIL,
        provider=EVIL,
        model=EVIL,
        total=5,
        unit=EVIL,
        metadata={EVIL: EVIL, "nested": {"deep": [EVIL]}},
    )
    tracker.enter_stage(EVIL, EVIL)
    tracker.update(message=EVIL, more=EVIL)
    tracker.state.waiting_for, tracker.state.preview = EVIL, EVIL
    tracker.state.trace_id = "cd" * 16
    return tracker


def test_3_6_9_no_text_of_an_operation_is_ever_html(visit: Visit, serving, registry: ProgressRegistry) -> None:
    evil(registry, "running")
    track(registry, "child", name=EVIL, parent="running").start()
    error = ErrorInfo(type=EVIL, message=EVIL)
    registry.end(evil(registry, "failed").state, Status.FAILED, reason=EVIL, error=error)
    registry.end(evil(registry, "cancelled").state, Status.CANCELLED, reason=EVIL)
    registry.end(evil(registry, "completed").state, Status.COMPLETED, reason=EVIL, result={"html": EVIL})
    with serving(registry, trace_url="javascript:window.hit=1//{trace_id}") as client:
        page = visit(client.base_url)
        for name in ("running", "failed", "cancelled", "completed"):
            row_of(page, name).locator(".name").click()
            expect(page.locator("#detail .timeline li").first).to_be_visible()
            expect(page.locator("#detail-title")).to_contain_text("<img src=x")
            assert page.locator("main img, main script, #detail img, #detail script").count() == 0
            assert page.locator("a[href^=javascript]").count() == 0
            page.keyboard.press("Escape")
        assert page.evaluate("window.hit") is None
