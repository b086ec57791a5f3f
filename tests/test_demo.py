"""`make demo` as a user runs it: a real model, two programs that know nothing of midspan, seen while they run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.environ import clean_environ

ROOT = Path(__file__).parent.parent


def processes_with(marker: str) -> list[int]:
    """The processes that have `marker` in their environment: all that the demo has started."""
    found: list[int] = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if marker.encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


class Demo:
    """One run of the demo, in an environment of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.marker = f"MARK={folder}"
        done = subprocess.run(
            [sys.executable, "-m", "midspan", "demo"],
            env=clean_environ(TMPDIR=str(folder), MARK=str(folder)),
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=110,
        )
        self.status, self.out, self.err = done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    return Demo(tmp_path_factory.mktemp("demo"))


def test_it_ends_well_and_with_a_summary_of_everything(demo: Demo) -> None:
    assert demo.status == 0, demo.err
    assert "midspan: 8 operations: 6 completed, 1 failed, 1 cancelled\n" in demo.err
    assert re.search(r"^midspan: slowest: chat smollm2-135m [\d.]+ s, completed \(\d+ tokens, \d+/s\)$", demo.err, re.M)


def test_the_failure_is_a_real_400_and_is_told(demo: Demo) -> None:
    told = r"^midspan: failed: chat smollm2-135m after .*BadRequestError: 400 exceed_context_size_error$"
    assert re.search(told, demo.err, re.M)


def test_the_cancelled_call_had_begun_to_stream(demo: Demo) -> None:
    assert re.search(r"cancelled · ~\d+ tokens .*task cancelled$", demo.err, re.M)


def test_tokens_are_seen_rising_while_an_answer_streams(demo: Demo) -> None:
    seen: dict[str, list[int]] = {}
    for name, count in re.findall(r"\[(\w+)\] streaming_response · ~(\d+) tokens?", demo.err):
        seen.setdefault(name, []).append(int(count))
    longest = max(seen.values(), key=len)
    assert len(longest) >= 2 and longest == sorted(set(longest))


def test_the_api_and_the_metrics_answer_while_it_runs(demo: Demo) -> None:
    told = re.findall(
        r"^midspan: GET http://\S+/v1/operations: 200, .*?(\d+) running; GET /metrics: 200", demo.err, re.M
    )
    assert len(told) == 2 and all(int(running) >= 1 for running in told)


def test_the_programs_own_output_is_on_stdout(demo: Demo) -> None:
    assert "> Tell me a short story" in demo.out and "a huge prompt was refused: 400" in demo.out
    assert "midspan" not in demo.out


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="processes are looked up in /proc")
def test_nothing_is_left_behind(demo: Demo) -> None:
    assert processes_with(demo.marker) == []
    assert list(demo.folder.iterdir()) == []
