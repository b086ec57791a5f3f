"""A provider that comes with another package: examples/provider, on the path as an installer would put it there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.environ import clean_environ
from tests.fakes.serving import CONTENT, USAGE, FakeServer, Json

EXAMPLE = Path(__file__).parents[2] / "examples" / "provider"

PROGRAM = """
import json, sys
import midspan, parley
from midspan.core import failures
from midspan.testing import capture
failures.raising = True
midspan.instrument()
client = parley.Client(sys.argv[1])
with capture() as seen:
    whole = client.say("canary", model="ok")
    pieces = list(client.say("canary", model="limited", limit=9, live=True))
    left = client.say("canary", model="ok", live=True)
    next(left)
    left.close()
    try:
        client.say("canary", model="refused")
    except OSError as error:
        refused = type(error).__name__
    print(json.dumps({
        "got": (whole.text, len(pieces), refused),
        "seen": [(str(o.status), o.status_reason, o.provider, o.model, o.chunks) for o in seen.operations],
        "tokens": [(o.tokens.input, o.tokens.output) for o in seen.operations[:2]],
        "kept": "canary" in repr(seen.operations),
    }))
"""


class ParleyWire:
    """Lines of JSON."""

    event_type = "application/x-ndjson"

    def model_of(self, path: str, request: Json) -> str:
        return request["model"]

    def is_streamed(self, path: str, request: Json) -> bool:
        return request["live"]

    def answer(self, path: str, request: Json) -> Json:
        return {"text": "".join(CONTENT), "ended": "said all", "usage": self._usage()}

    def events(self, path: str, request: Json) -> Iterator[str | bytes]:
        for part in CONTENT:
            yield json.dumps({"text": part}) + "\n"
        yield json.dumps({"ended": "limit", "usage": self._usage()}) + "\n"

    def is_token(self, event: str | bytes) -> bool:
        return '"text"' in str(event)

    def error(self, message: str, kind: str) -> Json:
        return {"error": message}

    def prompt(self, path: str, request: Json) -> str:
        return request["words"]

    def _usage(self) -> Json:
        return {"heard": USAGE["input"], "said": USAGE["output"]}


def install(folder: Path) -> None:
    """What an installer makes of the example's pyproject.toml: the name, and the entry points."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text("utf-8"))["project"]
    name, version = project["name"].replace("-", "_"), project["version"]
    made = folder / f"{name}-{version}.dist-info"
    made.mkdir()
    made.joinpath("METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {version}\n", "utf-8"
    )
    rows = [
        f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in points.items())
        for group, points in project["entry-points"].items()
    ]
    made.joinpath("entry_points.txt").write_text("\n".join(rows), "utf-8")


def test_a_provider_of_another_package_is_found_by_its_entry_point_and_sees_everything(tmp_path: Path) -> None:
    install(tmp_path)
    path = os.pathsep.join([str(tmp_path), str(EXAMPLE), *sys.path])
    with FakeServer(ParleyWire()) as server:
        command = [sys.executable, "-W", "error", "-c", PROGRAM, server.base_url]
        environ = clean_environ(PYTHONPATH=path)
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    shown: Any = json.loads(done.stdout)
    assert shown["got"] == ["It works.", 4, "HTTPError"]
    assert shown["seen"] == [
        ["completed", None, "parley", "ok", None],
        ["completed", None, "parley", "limited", 4],
        ["cancelled", "closed early", "parley", "ok", 1],
        ["failed", None, "parley", "refused", None],
    ]
    assert shown["tokens"] == [[7, 3], [7, 3]]
    assert shown["kept"] is False
