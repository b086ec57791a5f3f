"""The page for everybody: keyboard, screen reader, contrast, small screens, and what somebody prefers."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from playwright.sync_api import Page, expect

from midspan.core import transitions
from midspan.tracking.tracker import ProgressRegistry
from tests.server.page.conftest import Visit, lose, overhear, row_of

PHONE: dict[str, Any] = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True}
LONG = "a-name-that-goes-on-and-on-without-a-single-space-" * 2

TOO_WIDE = """all => all.filter((each) => each.checkVisibility() && each.getBoundingClientRect().right > innerWidth)
    .map((each) => each.outerHTML.slice(0, 200))"""
NAMELESS = """() => [...document.querySelectorAll("button, input, select, a, progress, dialog, section, ul.operations")]
    .filter((each) => each.checkVisibility() && !each.closest("[aria-hidden=true]"))
    .filter((each) => ![
        each.ariaLabel,
        each.textContent,
        each.labels?.[0]?.textContent,
        document.getElementById(each.getAttribute("aria-labelledby"))?.textContent,
    ].some((name) => name?.trim()))
    .map((each) => each.outerHTML.slice(0, 120))"""
CONTRASTS = """() => {
    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const rgba = (color) => {
        canvas.clearRect(0, 0, 1, 1);
        canvas.fillStyle = color;
        canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data];
    };
    const light = (color) => {
        const linear = (part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
        const [r, g, b] = color.map((part) => linear(part / 255));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (node) => {
        for (let each = node; each; each = each.parentElement) {
            const color = rgba(getComputedStyle(each).backgroundColor);
            if (color[3] === 255) return color;
        }
        return [255, 255, 255, 255];
    };
    const found = [];
    for (const node of document.querySelectorAll("body *")) {
        const says = [...node.childNodes].some((child) => child.nodeType === Node.TEXT_NODE && child.data.trim());
        const open = document.querySelector("dialog[open]");
        if (!says || !node.checkVisibility() || node.disabled || (open && !open.contains(node))) continue;
        const [ink, paper] = [light(rgba(getComputedStyle(node).color)), light(behind(node))];
        const contrast = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
        found.push([contrast, node.className, node.textContent.trim()]);
    }
    return found;
}"""


@pytest.fixture(autouse=True)
def operations(registry: ProgressRegistry) -> None:
    """One in each state that has a look of its own."""
    registry.create_tracker("flow", name=LONG).update(progress=0.4, message=LONG)
    child = registry.create_tracker("child", name="child", parent="flow", provider=LONG, model=LONG)
    child.enter_stage(LONG)
    waiting = registry.create_tracker("waiting", name="waiting")
    waiting.apply(lambda state, now: transitions.wait_to_retry(state, now, 50, "rate_limit"))
    registry.create_tracker("stuck", name="stuck", stall_after=1e-9).update(progress=0.2)
    cancellable = registry.create_tracker("cancellable", name="cancellable", metadata={"key": LONG})
    assert not cancellable.cancel_requested
    cancellable.enter_stage("reading")
    registry.create_tracker("done", name="done").complete()
    registry.create_tracker("failed", name="failed").fail(ValueError(LONG))
    registry.create_tracker("cancelled", name="cancelled").cancel("closed early")


def settled(page: Page) -> Page:
    expect(page.locator("#recent-list li")).to_have_count(3)
    expect(page.locator("#running-list li")).to_have_count(5)
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_have_the_contrast_of_wcag_aa_in_every_text(
    visit: Visit, client: httpx2.Client, scheme: Any
) -> None:
    page = settled(visit(client.base_url, color_scheme=scheme))
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == {"light": "rgb(255, 255, 255)", "dark": "rgb(18, 21, 24)"}[scheme]
    shown = page.evaluate(CONTRASTS)
    for name in ("cancellable", "failed"):
        row_of(page, name).locator(".name").click()
        expect(page.locator("#detail .timeline li").first).to_be_visible()
        shown += page.evaluate(CONTRASTS)
        page.keyboard.press("Escape")
        expect(page.locator("#detail")).to_be_hidden()
    lose(page)
    expect(page.locator("#running-list [data-seen]")).to_have_count(5)
    shown += page.evaluate(CONTRASTS)
    row_of(page, "stuck").locator(".name").click()
    expect(page.locator("#detail [data-seen]")).to_be_visible()
    shown += page.evaluate(CONTRASTS)
    assert len(shown) > 200
    assert [each for each in shown if each[0] < 4.5] == []


def test_every_control_and_every_bar_has_a_name_and_every_id_is_there_once(page: Page) -> None:
    settled(page)
    row_of(page, "cancellable").locator(".name").click()
    expect(page.locator("#detail .timeline li").first).to_be_visible()
    assert page.evaluate(NAMELESS) == []
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(each => each.id)")
    assert len(ids) == len(set(ids))
    assert page.locator("html").get_attribute("lang") == "en"
    levels = page.locator("h1, h2").evaluate_all(
        "all => all.filter(each => each.checkVisibility()).map(each => each.tagName)"
    )
    assert levels[0] == "H1"


def test_a_screen_reader_is_told_state_and_progress_of_each(page: Page) -> None:
    settled(page)
    tree = page.locator("#running").aria_snapshot()
    assert 'progressbar "Progress of stuck"' in tree
    assert "stalled:" in tree and "waiting:" in tree
    assert page.get_by_role("progressbar", name="Progress of stuck").get_attribute("value") == "0.2"
    assert "failed:" in page.locator("#recent").aria_snapshot()


def test_endings_are_announced_politely_and_not_one_by_one(page: Page, registry: ProgressRegistry) -> None:
    settled(page)
    said = overhear(page)
    assert page.locator("#announcer").get_attribute("aria-live") == "polite"
    for name in ("flow", "child", "waiting", "cancellable"):
        tracker = registry.get_tracker(name)
        assert tracker is not None
        tracker.complete()
        expect(row_of(page, name).locator(".doing")).to_have_text("completed")
    assert len(said()) == 1
    assert "completed" in said()[0]


def test_the_keyboard_searches_moves_opens_and_closes(page: Page) -> None:
    settled(page)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the operations")).to_be_focused()
    page.keyboard.press("/")
    expect(page.locator("#search")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(row_of(page, "flow").locator(".name")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(row_of(page, "child").locator(".name")).to_be_focused()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    expect(page.locator("#detail")).to_be_visible()
    expect(page.locator("#detail-title")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#detail")).to_be_hidden()
    expect(row_of(page, "flow").locator(".name")).to_be_focused()


def test_the_focus_is_seen_and_goes_with_its_row_to_the_recent_ones(page: Page, registry: ProgressRegistry) -> None:
    settled(page)
    page.keyboard.press("ArrowDown")
    name = row_of(page, "flow").locator(".name")
    expect(name).to_be_focused()
    assert name.evaluate("name => getComputedStyle(name).outlineWidth") == "2px"
    tracker = registry.get_tracker("flow")
    assert tracker is not None
    tracker.complete()
    expect(page.locator("#recent-list [data-id=flow] .name")).to_be_focused()


def test_s3_58_on_a_phone_nothing_is_wider_than_the_screen(visit: Visit, client: httpx2.Client) -> None:
    page = settled(visit(client.base_url, **PHONE))
    wide = "document.scrollingElement.scrollWidth > innerWidth || innerWidth > 360"
    assert not page.evaluate(wide)
    for name in ("flow", "child", "cancellable", "failed"):
        row_of(page, name).locator(".name").tap()
        expect(page.locator("#detail .timeline li").first).to_be_visible()
        assert not page.evaluate(wide)
        assert page.locator("#detail-body *").evaluate_all(TOO_WIDE) == []
        page.get_by_role("button", name="Close").tap()
        expect(page.locator("#detail")).to_be_hidden()


def test_rows_keep_their_height_whatever_they_say(page: Page) -> None:
    settled(page)
    heights = page.locator("li.operation").evaluate_all("rows => rows.map(row => row.getBoundingClientRect().height)")
    assert len(set(heights)) == 1


def test_who_wants_less_motion_gets_none(page: Page) -> None:
    bar = page.get_by_role("progressbar", name="Progress of child")
    for wanted, name in (("no-preference", "passing"), ("reduce", "none")):
        page.emulate_media(reduced_motion=wanted)
        expect(bar).to_have_css("animation-name", name)
