"""Takes the pictures of the web page, docs/img/page-*.png: a made-up scene, drawn by the system's Chromium.

python docs/make_page_pictures.py [NAME…]
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from playwright.sync_api import Browser  # noqa: E402

from midspan.core.state import State  # noqa: E402
from midspan.server.app import create_app  # noqa: E402
from midspan.server.embedded import EmbeddedServer  # noqa: E402
from midspan.tracking.instrumenting import CallTracker  # noqa: E402
from midspan.tracking.tracker import ProgressRegistry, ProgressTracker  # noqa: E402
from tests.browsing import browser  # noqa: E402

IMAGES = ROOT / "docs" / "img"
DESKTOP: dict[str, Any] = {"viewport": {"width": 1280, "height": 820}}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 1.5, "is_mobile": True}
PICTURES: dict[str, tuple[str, dict[str, Any]]] = {
    "busy": ("/", DESKTOP),
    "dark": ("/", {**DESKTOP, "color_scheme": "dark"}),
    "phone": ("/", PHONE),
    "failed": ("/#op=failed", DESKTOP),
    "detail": ("/#op=nightly", {**DESKTOP, "color_scheme": "dark"}),
}


class Past:
    """A clock that a scene begins an hour ago, and that goes forward as the scene says."""

    def __init__(self) -> None:
        self.behind = 3600.0

    def __call__(self) -> float:
        return time.time() - self.behind

    def until(self, seconds_ago: float) -> None:
        self.behind = min(self.behind, seconds_ago)


class Scene:
    """Operations that have ended, run, wait, stall and failed."""

    def __init__(self) -> None:
        self.past = Past()
        self.registry = ProgressRegistry(clock=self.past)

    def call(self, name: str, model: str, provider: str = "openai", **more: Any) -> CallTracker:
        """A call to a model that has been sent."""
        state = State(more.pop("id", None) or f"call-{self.past():.6f}", "llm_request", name, self.past())
        state.provider, state.model, state.plan = provider, model, None
        for field, value in more.items():
            setattr(state, field, value)
        tracker = CallTracker.of_call(self.registry, state)
        self.registry.add(state)
        tracker.start()
        tracker.enter_stage("sending_request")
        return tracker

    def streamed(self, tracker: CallTracker, input: int, output: int) -> CallTracker:  # noqa: A002 - the conventions' word
        """Its answer has begun."""
        tracker.first_chunk()
        tracker.record_usage(input, output)
        return tracker

    def track(self, name: str, operation_type: str, **more: Any) -> ProgressTracker:
        """Something that reports its own progress."""
        return ProgressTracker(name=name, operation_type=operation_type, registry=self.registry, **more)

    def make(self) -> None:
        """Everything, oldest first."""
        self.ended()
        self.failed()
        self.nightly()
        self.stalled()
        self.waiting()
        self.past.until(11)
        self.streaming(9, "gpt-4o", 1_830, 612)
        self.streaming(4, "gpt-4o-mini", 420, 188)
        self.past.until(0)

    def ended(self) -> None:
        """Calls of the last minutes."""
        for number in range(24):
            begun = 900 - number * 34
            self.past.until(begun)
            tracker = self.call("chat", "gpt-4o" if number % 3 else "gpt-4o-mini")
            self.past.until(begun - 0.4)
            self.streamed(tracker, 300 + 17 * number, 200 + 61 * (number % 7))
            self.past.until(begun - 2 - (number * 7 % 11))
            if number == 19:
                tracker.fail(TimeoutError("Request timed out."))
            elif number == 22:
                tracker.cancel("the stream was closed early")
            else:
                tracker.complete()

    def nightly(self) -> None:
        """A workflow with parts."""
        self.past.until(95)
        self.track("nightly import", "workflow", operation_id="nightly", total_steps=4).update(1, "Loading")
        with self.track("load files", "file_transfer", parent="nightly", total=48_000_000, unit="By") as load:
            for second in range(30):
                self.past.until(94 - second)
                load.advance(1_600_000)
        nightly = ProgressTracker.of(self.registry, self.registry.state("nightly"))  # pyright: ignore
        embed = self.track("embed rows", "embedding", parent="nightly", total=20_000, unit="rows", provider="openai",
                           model="text-embedding-3-small")  # fmt: skip
        for second in range(50):
            self.past.until(62 - second)
            embed.advance(258 + 40 * (second % 3))
        nightly.update(2, "Embedding what is new")
        self.track("build index", "batch", parent="nightly")

    def stalled(self) -> None:
        """A batch that does not go on, and a job of a provider that tells nothing yet."""
        self.track("label reviews", "batch", total=12_000, unit="items", stall_after=3).advance(4_311)
        tune = self.track("fine-tune support-v4", "fine_tuning", provider="openai", model="gpt-4o-mini")
        tune.enter_stage("queued")

    def failed(self) -> None:
        """A call that failed at its second attempt."""
        self.past.until(112)
        tracker = self.call(
            "chat", "claude-sonnet-4-5", "anthropic", id="failed", metadata={"tenant": "acme", "route": "/answers"}
        )
        self.past.until(110.6)
        tracker.wait_to_retry(4, "429")
        self.past.until(106.5)
        tracker.retrying(2, "429")
        self.past.until(105.8)
        self.streamed(tracker, 2_210, 380)
        self.past.until(98)
        tracker.fail(ConnectionError("peer closed connection without sending complete message body"))

    def waiting(self) -> None:
        """A call that the provider has put off."""
        self.past.until(14)
        self.call("chat", "claude-sonnet-4-5", "anthropic").wait_to_retry(38, "429")
        agent = self.track("research agent", "agent", total_steps=8)
        _ = agent.cancel_requested
        agent.update(3, "Reading 14 sources about fusion")

    def streaming(self, seconds_ago: float, model: str, input: int, output: int) -> None:  # noqa: A002
        """A call that streams."""
        self.past.until(seconds_ago)
        tracker = self.call("chat", model)
        self.past.until(seconds_ago - 0.5)
        self.streamed(tracker, input, output)


def take(chromium: Browser, url: str, name: str, options: dict[str, Any]) -> None:
    """One picture, as soon as the page shows what is there."""
    with chromium.new_context(**options) as context:
        page = context.new_page()
        page.goto(url)
        page.wait_for_selector(".connection[data-state=live]")
        page.wait_for_timeout(800)
        page.screenshot(path=IMAGES / f"page-{name}.png")


def main(names: list[str], scene: Callable[[], Scene] = Scene) -> None:
    """Takes the pictures of these names, or all."""
    made = scene()
    app = create_app(
        made.registry, metrics=lambda _: (b"", "text/plain"), trace_url="https://traces.example/{trace_id}"
    )
    server = EmbeddedServer(lambda: app, port=0)
    server.start()
    with browser() as chromium:
        if not names or "empty" in names:
            take(chromium, server.url, "empty", DESKTOP)
        made.make()
        for name, (path, options) in PICTURES.items():
            if not names or name in names:
                take(chromium, server.url + path, name, options)
    server.stop()


if __name__ == "__main__":
    main(sys.argv[1:])
