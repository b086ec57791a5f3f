"""aimock, a server of others that speaks the providers' APIs over real HTTP: batches and fine-tunings that go on with
each look at them, rate limits, streams that are paced and cut.

Its npm package is installed once, into the user's cache.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tests.programs import free_port, program, running, without

VERSION = "1.43.0"
INSTALLED_WITHIN = 100
FIXTURES = {
    "fixtures": [
        {
            "match": {"userMessage": "slowly"},
            "response": {"content": "one two three four five six"},
            "streamingProfile": {"ttft": 50, "tps": 100},
        },
        {
            "match": {"userMessage": "cut"},
            "response": {"content": "one two three four five six"},
            "truncateAfterChunks": 3,
        },
    ]
}


def _installed() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "midspan" / f"aimock-{VERSION}"
    if not (cache / ".installed").exists():
        cache.mkdir(parents=True, exist_ok=True)
        command = [program("npm"), "install", "--ignore-scripts", "--no-save", "--no-package-lock", "--no-audit"]
        command += ["--no-fund", f"@copilotkit/aimock@{VERSION}"]
        done = subprocess.run(command, cwd=cache, capture_output=True, text=True, timeout=INSTALLED_WITHIN, check=False)
        if done.returncode:
            without(f"npm could not install aimock: {done.stderr.strip().splitlines()[-1:]}")
        (cache / ".installed").touch()
    return cache / "node_modules" / "@copilotkit" / "aimock" / "dist" / "cli.js"


@contextmanager
def aimock(folder: Path) -> Generator[str]:
    """The server while it runs: its address, without a path. Its fixtures are written into `folder`."""
    script, port = _installed(), free_port()
    fixtures = folder / "fixtures.json"
    fixtures.write_text(json.dumps(FIXTURES), encoding="utf-8")
    command = [program("node"), str(script), "-p", str(port), "-h", "127.0.0.1", "-f", str(fixtures), "-c", "5"]
    with running(command, f"http://127.0.0.1:{port}/health"):
        yield f"http://127.0.0.1:{port}"
