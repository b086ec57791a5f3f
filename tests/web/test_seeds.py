"""The seeds' own JavaScript, taken from their markdown and not changed, in a real browser."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Mount, Route

from midspan.compat.chat import ProgressTracker
from midspan.compat.monitor import BaseProcessor, ProcessingStage
from midspan.runtime.pulse import Pulse
from midspan.server.app import create_app
from midspan.server.embedded import EmbeddedServer
from midspan.tracking.task import Task
from midspan.tracking.tasks import Tasks
from midspan.tracking.tracker import ProgressRegistry, get_progress_tracker
from tests.browsing import ROOT, browser, node_modules
from tests.seeds.reading import S2, S3, blocks, needs_seeds

pytestmark = needs_seeds

TOKEN = "jwt"
PACKAGES = {"react": "18.3.1", "react-dom": "18.3.1", "esbuild": "0.28.2"}
PAGES: dict[str, str] = {}

GIVEN = """
const authToken = "jwt", seen = [];
const showResult = (text) => (document.getElementById("result").textContent = text);
const showSummary = (summary) => (document.getElementById("summary").textContent = summary.stages_completed.join());
const showError = (text) => (document.getElementById("error").textContent = text);
const hideProgressBar = () => document.getElementById("progress-bar").remove();
const updateConnectionStatus = (status, seconds) => seen.push(status, seconds);
"""
"""What the seed's EventSource example uses and does not show."""

ELEMENTS = ["progress-bar", "progress-text", "progress-message", "progress-log", "result", "summary", "error", "root"]


def ask_question(deity_id: str, fortune_number: int, question: str, enable_streaming: bool, language: str) -> object:
    tracker = ProgressTracker(get_progress_tracker().operation_id, registry=get_progress_tracker().registry)
    for stage, percent, message in (
        ("processing", 5, "初始化處理流程..."),
        ("analyzing_rag", 25, f"正在映射 {deity_id}..."),
        ("analyzing_rag", 45, f"正在檢索第 {fortune_number} 籤..."),
        ("generating_llm", 75, "結合傳統智慧與現代解釋..."),
    ):
        tracker.update(stage, percent, message)
    return {"response": f"{question} 吉", "confidence": 84}


def served_page(request: Request) -> HTMLResponse:
    return HTMLResponse(PAGES[request.path_params["name"]])


def write_page(name: str, script: str) -> str:
    """A page with the elements that the seeds' scripts look for; its path."""
    elements = "".join(f'<div id="{each}"></div>' for each in ELEMENTS)
    PAGES[name] = f'<!doctype html><meta charset="utf-8"><body>{elements}<script>{script}</script>'
    return f"/pages/{name}"


class Site:
    """midspan and the pages at one origin, with a pulse, as `midspan serve` has one."""

    def __init__(self, token: str | None) -> None:
        self.registry = ProgressRegistry()
        self.tasks = Tasks(self.registry)
        self.tasks.add(Task.of("ask-question", ask_question, {}))
        api = create_app(self.registry, metrics=lambda accept: (b"", "text/plain"), token=token, tasks=self.tasks)
        app = Starlette(routes=[Route("/pages/{name}", served_page), Mount("/", api)])
        self.server = EmbeddedServer(lambda: app, port=0, token=token)
        self.pulse = Pulse(self.registry)
        self.server.start()
        self.pulse.start()

    def stop(self) -> None:
        self.tasks.stop(within=5)
        self.pulse.stop()
        self.server.stop()


@pytest.fixture(scope="module")
def sites() -> Iterator[tuple[Site, Site]]:
    """One that asks for a token, as seed S2's does, and one that does not."""
    closed, opened = Site(f"write:{TOKEN}"), Site(None)
    yield closed, opened
    closed.stop()
    opened.stop()


@pytest.fixture(scope="module")
def chromium(sites: tuple[Site, Site]) -> Iterator[Browser]:
    """Where the seeds say localhost:8000, it finds the one that asks for no token."""
    port = sites[1].server.address.port
    with browser(f"--host-resolver-rules=MAP localhost:8000 127.0.0.1:{port}") as found:
        yield found


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A page that fails the test for an error in its scripts."""
    errors: list[str] = []
    with chromium.new_context() as context:
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        yield page
    assert errors == []


def test_s2_27_the_event_source_example(sites: tuple[Site, Site], page: Page, eventually: Callable[..., None]) -> None:
    """Its task is `task_123`, its token in the query."""
    site = sites[0]
    tracker = ProgressTracker("task_123", registry=site.registry)
    page.goto(site.server.url + write_page("eventsource", GIVEN + blocks(S2, "javascript")[0]))
    eventually(lambda: site.registry.watched)
    tracker.update("analyzing_rag", 25, "正在映射神明識別碼...")
    expect(page.locator("#progress-text")).to_have_text("25%")
    tracker.update("analyzing_rag", 35, "<b>GuanYu</b>")
    expect(page.locator("#progress-message")).to_have_text("<b>GuanYu</b>")
    assert page.locator("#progress-bar").evaluate("bar => bar.style.width") == "35%"
    tracker.complete({"response": "根據您的問題", "confidence": 84}, "解釋生成完成")
    expect(page.locator("#result")).to_have_text("根據您的問題")
    expect(page.locator("#summary")).to_have_text("analyzing_rag,completed")
    steps = [text.partition("] ")[2] for text in page.locator("#progress-log div").all_text_contents()]
    assert steps == [
        "analyzing_rag: 25% - 正在映射神明識別碼...",
        "analyzing_rag: 35% - <b>GuanYu</b>",
        "completed: 100% - 解釋生成完成",
    ]
    assert page.locator("#progress-log b").count() == 0


def test_s2_27_the_example_does_not_come_back_after_the_end(sites: tuple[Site, Site], page: Page) -> None:
    """It never calls close(): the browser connects again by itself, and is told to stop."""
    site = sites[0]
    ProgressTracker("task_123", registry=site.registry).complete({"response": "yes"})
    statuses: list[int] = []
    page.on("response", lambda response: "/sse/" in response.url and statuses.append(response.status))
    script = "EventSource = class extends EventSource { constructor(url) { super(url); window.source = this; } };"
    page.goto(site.server.url + write_page("again", script + GIVEN + blocks(S2, "javascript")[0]))
    page.wait_for_function("source.readyState === EventSource.CLOSED", timeout=20_000)
    assert statuses == [200, 204]


def test_s2_12_27_the_example_shows_a_failure(sites: tuple[Site, Site], page: Page) -> None:
    site = sites[0]
    ProgressTracker("task_123", registry=site.registry).fail("no such deity")
    page.goto(site.server.url + write_page("failure", GIVEN + blocks(S2, "javascript")[0]))
    expect(page.locator("#error")).to_have_text("no such deity")


def bundled(block: str) -> str:
    """The block with what it needs around it, as one script: its import and its JSX need a bundler."""
    modules = node_modules(PACKAGES)
    entry = f"""
        import {{ createRoot }} from "react-dom/client";
        const userToken = "{TOKEN}";
        {block}
        createRoot(document.getElementById("root")).render(<FortuneChat />);
    """
    command = [str(modules / ".bin" / "esbuild"), "--bundle", "--loader=jsx", "--jsx=automatic", "--log-level=error"]
    environment = {**os.environ, "NODE_PATH": str(modules)}
    done = subprocess.run(
        command, input=entry, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout.replace("</script", "<\\/script")


def test_s2_29_30_31_32_the_react_hook(sites: tuple[Site, Site], page: Page) -> None:
    """The whole component: it asks with its token, and shows the steps, the result and its confidence."""
    site = sites[0]
    page.goto(site.server.url + write_page("react", bundled(blocks(S2, "javascript")[1])))
    page.get_by_role("button", name="問籤").click()
    expect(page.locator(".result p")).to_have_text("我下週的面試會順利嗎？ 吉", timeout=15_000)  # noqa: RUF001
    expect(page.locator(".result")).to_contain_text("信心度: 84%")
    steps = page.locator(".progress-step").all_text_contents()
    assert steps[-1].startswith("completed: 100%")
    assert any("正在映射 guan_yu..." in step or "正在檢索第 40 籤..." in step for step in steps)
    assert page.locator(".progress-info").text_content() == "階段: completed進度: 100%狀態: 完成！"  # noqa: RUF001
    assert page.locator(".error").count() == 0


def test_s3_12_the_web_socket_example(sites: tuple[Site, Site], page: Page, eventually: Callable[..., None]) -> None:
    """It connects to localhost:8000, and logs what it hears."""
    site = sites[1]
    heard: list[Any] = []

    def note(message: ConsoleMessage) -> None:
        if message.text.startswith("Monitor update:"):
            heard.append(message.args[1].json_value())

    def changes() -> list[Any]:
        page.wait_for_timeout(5)  # what the browser says is let in while the page waits
        return [event for data in heard if data["type"] == "update" for event in data["events"]]

    page.on("console", note)
    page.goto(site.server.url + write_page("monitor", blocks(S3, "javascript")[0]))
    page.wait_for_function("ws.readyState === WebSocket.OPEN")
    eventually(lambda: site.registry.watched)
    processor = BaseProcessor({}, registry=site.registry)
    session_id = processor.start_monitoring_session("text", "summarize", "llama")
    processor.emit_stage(session_id, ProcessingStage.SENDING_REQUEST, "Transmitting prompt")
    processor.finish_monitoring_session(session_id, success=True, final_result="text")
    eventually(lambda: any(change["success"] for change in changes()))
    assert heard[0] == {"type": "snapshot", "sessions": []}
    assert "sending_request" in [change["stage"] for change in changes()]
