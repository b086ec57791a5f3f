"""Dashboards drawn by Grafana's own panel code (render/) in a real browser, with data of a real Prometheus."""

from __future__ import annotations

import hashlib
import json
import mimetypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, Route

from tests.grafana.reading import ROOT, Json, links, panels
from tests.programs import program, without

SOURCE = Path(__file__).with_name("render")
GRAFANA = os.environ.get("GRAFANA", "13")
"""Whose panel code: 13, 12 or 11, each in the versions of its package*.json."""
PICTURES = ROOT / "build" / ("dashboards" if GRAFANA == "13" else f"dashboards-{GRAFANA}")
SITE = "http://localhost:8899"
"""Answered by `_serve`; nobody listens there."""
CELL = 38
"""Pixels of a line of the grid."""
DRAWN_WITHIN = 90_000
INSTALLED_WITHIN = 400

# What each panel shows, or says that it cannot show; an alert is what Grafana draws for a panel that has thrown.
LOOK = """() => [...document.querySelectorAll('section')].map((section) => ({
  title: section.querySelector('h2')?.innerText ?? '',
  text: section.innerText,
  empty: section.querySelector('[data-empty], [role=alert]')?.textContent ?? null,
  shapes: section.querySelectorAll('canvas, svg rect, table, [role=grid]').length,
}))"""
READY = """(count) => {
  const sections = [...document.querySelectorAll('section')];
  return sections.length >= count && !document.querySelector('[aria-label="Panel loading bar"]');
}"""


@dataclass(frozen=True)
class Shown:
    """One panel as it was drawn: `empty` is what it says without data, or with an error."""

    title: str
    text: str
    empty: str | None
    shapes: int

    @property
    def has_content(self) -> bool:
        """Whether there is something beside the title; a panel of an unknown kind has not, and says nothing."""
        return self.shapes > 0 or self.text.replace(self.title, "", 1).strip() != ""


@dataclass(frozen=True)
class Drawn:
    """One dashboard as it was drawn, with every query that left it, every error of the page, and where it leads to."""

    panels: dict[str, Shown]
    asked: list[Json]
    errors: list[str]
    led: list[str]


def site() -> Path:
    """The folder of the page, installed and built once for each state of its sources and kept in the user's cache."""
    packages = SOURCE / ("package.json" if GRAFANA == "13" else f"package-{GRAFANA}.json")
    wanted = hashlib.sha256(packages.read_bytes()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "midspan" / f"render-{wanted}"
    ours = shutil.ignore_patterns("package-*.json", "*.py", "__pycache__")
    shutil.copytree(SOURCE, cache, ignore=ours, dirs_exist_ok=True)
    shutil.copyfile(packages, cache / "package.json")
    if not (cache / "node_modules" / ".installed").exists():
        _run(cache, program("npm"), "install", "--ignore-scripts", "--legacy-peer-deps", "--no-package-lock",
             "--no-audit", "--no-fund")  # fmt: skip
        (cache / "node_modules" / ".installed").touch()
    _run(cache, program("node"), "build.mjs")
    return cache


def _run(folder: Path, *command: str) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=INSTALLED_WITHIN, check=False)
    if done.returncode:
        without(f"{' '.join(command[1:])} failed: {done.stderr.strip().splitlines()[-1:]}")


def draw(browser: Browser, folder: Path, dashboard: Json, prometheus: str, picture: str, theme: str = "dark") -> Drawn:
    """Draw a dashboard and keep its picture under that name."""
    lines = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in dashboard["panels"])
    page = browser.new_page(viewport={"width": 1600, "height": lines * CELL + 170})
    errors: list[str] = []
    try:
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.route(f"{SITE}/**", lambda route: _serve(route, folder, dashboard, prometheus))
        page.goto(f"{SITE}/?theme={theme}", timeout=DRAWN_WITHIN)
        page.wait_for_function(READY, arg=len(panels(dashboard)), timeout=DRAWN_WITHIN)
        page.wait_for_load_state("networkidle")
        PICTURES.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=PICTURES / f"{picture}.png")
        urls = [link["url"] for panel in panels(dashboard) for link in links(panel)]
        led = page.evaluate("(urls) => urls.map((url) => led(url))", urls)
        return Drawn({one.title: one for one in _looked(page)}, page.evaluate("() => asked"), errors, led)
    finally:
        page.close()


def _looked(page: Page) -> Iterator[Shown]:
    found: list[dict[str, Any]] = page.evaluate(LOOK)
    return (Shown(**one) for one in found)


def _serve(route: Route, folder: Path, dashboard: Json, prometheus: str) -> None:
    asked = route.request.url.removeprefix(SITE)
    path = asked.partition("?")[0]
    file = folder / (path.removeprefix("/") or "index.html")
    if path.startswith("/public/"):
        file = folder / "node_modules/@grafana/ui/dist/public" / path.removeprefix("/public/").removeprefix("build/")
    if path.startswith("/api/v1/"):
        route.fulfill(response=route.fetch(url=f"{prometheus}{asked}"))
    elif path == "/dashboard.json":
        route.fulfill(body=json.dumps(dashboard), content_type="application/json")
    elif file.is_file():
        route.fulfill(body=file.read_bytes(), content_type=mimetypes.guess_type(file.name)[0])
    else:
        route.fulfill(status=404)
