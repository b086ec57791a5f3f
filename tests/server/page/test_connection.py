"""What the page does with its connection: to a real program, with tokens, tabs, hiding, restarts, prefixes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import httpx2
from playwright.sync_api import expect
from starlette.applications import Starlette
from starlette.routing import Mount

from midspan.server.app import create_app
from midspan.server.embedded import EmbeddedServer
from midspan.tracking.tracker import ProgressRegistry
from tests.environ import clean_environ
from tests.model import running_model
from tests.programs import free_port, running
from tests.server.conftest import Serving, Switch, page_of_metrics
from tests.server.page.conftest import Restarting, Visit, hide, row_of

PROGRAM = """
import os, sys, time
from openai import OpenAI
while not os.path.exists(sys.argv[2]):
    time.sleep(0.02)
stream = OpenAI().chat.completions.create(
    model=sys.argv[1], messages=[{"role": "user", "content": "Tell me about rivers."}], max_tokens=60, seed=7,
    stream=True, stream_options={"include_usage": True},
)
for chunk in stream:
    time.sleep(0.05)
time.sleep(60)
"""
WATCH = """async () => {
    const seen = [];
    for (const end = performance.now() + 40_000; performance.now() < end;) {
        const bar = document.querySelector(".operation progress");
        const said = document.querySelector(".operation .tokens")?.textContent ?? "";
        const doing = document.querySelector(".operation .doing")?.textContent;
        const now = [bar?.value ?? 0, Number(said.match(/\\d+/)?.[0] ?? 0), doing];
        if (now[1] && String(now) !== String(seen.at(-1))) seen.push(now);
        if (document.querySelector(".operation[data-state=completed]")) return seen;
        await new Promise((done) => requestAnimationFrame(done));
    }
    return seen;
}"""


def test_two_tabs_show_the_same(visit: Visit, client: httpx2.Client, registry: ProgressRegistry) -> None:
    pages = [visit(client.base_url) for _ in range(2)]
    tracker = registry.create_tracker("shared", name="shared")
    tracker.enter_stage("reading")
    for page in pages:
        expect(row_of(page, "shared").locator(".doing")).to_have_text("reading")
    tracker.complete()
    for page in pages:
        expect(row_of(page, "shared").locator(".doing")).to_have_text("completed")


def test_s3_45_a_hidden_tab_has_no_stream_and_catches_up_when_it_is_seen_again(
    visit: Visit, client: httpx2.Client, registry: ProgressRegistry, served, eventually: Callable[..., None]
) -> None:
    hub = served[0].app.state.hub
    page = visit(client.base_url)
    tracker = registry.create_tracker("missed", name="missed")
    tracker.start()
    expect(row_of(page, "missed")).to_be_visible()
    assert hub.reader_count == 1
    hide(page, True)
    expect(page.locator("#connection")).to_have_text("paused")
    eventually(lambda: hub.reader_count == 0)
    registry.create_tracker("new", name="new").start()
    tracker.fail("while nobody looked")
    hide(page, False)
    expect(page.locator("#connection")).to_have_text("live")
    expect(row_of(page, "missed")).to_contain_text("while nobody looked")
    expect(row_of(page, "new")).to_be_visible()
    assert hub.reader_count == 1


def test_after_a_restart_of_the_server_the_page_shows_what_runs_now(visit: Visit, restarting: Restarting) -> None:
    before, after = ProgressRegistry(), ProgressRegistry()
    before.create_tracker("gone", name="gone").start()
    before.create_tracker("ended", name="ended").complete()
    server = restarting(before)
    page = visit(server.url)
    expect(row_of(page, "gone")).to_be_visible()
    after.create_tracker("here", name="here").start()
    assert restarting(after).url == server.url
    expect(row_of(page, "here")).to_be_visible(timeout=15_000)
    expect(page.locator("#connection")).to_have_text("live")
    expect(page.locator("li.operation")).to_have_count(1)


def test_a_token_is_asked_for_once_and_kept_in_the_tab(
    visit: Visit, serving: Serving, registry: ProgressRegistry
) -> None:
    registry.create_tracker("secret", name="secret").start()
    with serving(registry, token="open-sesame") as client:
        page = visit(client.base_url, state="refused")
        dialog = page.get_by_role("dialog", name="A token is needed")
        expect(dialog).to_be_visible()
        page.keyboard.press("Escape")
        page.get_by_label("Token", exact=True).fill("wrong")
        page.keyboard.press("Enter")
        expect(dialog.get_by_role("alert")).to_have_text("This token is not known here.")
        page.get_by_label("Token", exact=True).fill("open-sesame")
        page.keyboard.press("Enter")
        expect(row_of(page, "secret")).to_be_visible()
        expect(dialog).to_be_hidden()
        assert "open-sesame" not in page.url + page.content()
        page.reload()
        expect(row_of(page, "secret")).to_be_visible()
        expect(dialog).to_be_hidden()
        expect(page.get_by_role("link", name="Metrics")).to_be_hidden()
        page.get_by_role("button", name="Forget token").click()
        expect(dialog).to_be_visible()
        expect(row_of(page, "secret")).to_have_count(0)


def test_a_token_that_may_only_read_cancels_nothing(visit: Visit, serving: Serving, registry: ProgressRegistry) -> None:
    tracker = registry.create_tracker("guarded", name="guarded")
    assert not tracker.cancel_requested
    tracker.start()
    with serving(registry, token="read:looker") as client:
        page = visit(client.base_url, state="refused")
        page.get_by_label("Token", exact=True).fill("looker")
        page.keyboard.press("Enter")
        row_of(page, "guarded").locator(".name").click()
        for _ in range(2):
            page.locator("#detail .danger").click()
        expect(page.locator("#detail [role=alert]")).to_have_text("the token lacks the scope 'write'")
    assert not tracker.cancel_requested


def test_below_a_prefix_it_reads_the_api_below_that_prefix(
    visit: Visit, served: tuple[Switch, EmbeddedServer], registry: ProgressRegistry
) -> None:
    tracker = registry.create_tracker("mounted", name="mounted")
    tracker.enter_stage("reading")
    app = create_app(registry, metrics=page_of_metrics)
    served[0].app = Starlette(routes=[Mount("/tools/midspan", app)])
    page = visit(served[1].url, "/tools/midspan")
    assert page.url.endswith("/tools/midspan/")
    row_of(page, "mounted").locator(".name").click()
    expect(page.locator("#detail .stages .term")).to_have_text(["reading"])
    expect(page.get_by_role("link", name="API", include_hidden=True)).to_have_attribute("href", "v1/openapi.json")


def test_a_streaming_answer_is_seen_rising_to_its_end(visit: Visit, tmp_path: Path) -> None:
    visited = tmp_path / "visited"
    url = f"http://127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "midspan", "run", "--quiet", "--server", url.partition("//")[2], "--"]
    with running_model() as model:
        environ = clean_environ(**model.environ)
        program = [*command, sys.executable, "-c", PROGRAM, model.name, str(visited)]
        with running(program, f"{url}/healthz", **environ):
            page = visit(url)
            # In the page, and from before: a short answer is over before it is asked about from here.
            page.evaluate(f"() => {{ window.watched = ({WATCH})(); }}")
            visited.touch()
            seen = page.evaluate("() => window.watched")
    tokens = [each[1] for each in seen]
    assert len(tokens) >= 5 and tokens == sorted(tokens), seen
    assert [each[0] for each in seen[:-1]] == sorted(each[0] for each in seen[:-1])
    assert "streaming response" in {each[2] for each in seen}
