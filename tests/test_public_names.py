"""The public names are pinned, and each is imported when it is first used."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import midspan
import midspan.models

ROOT = Path(__file__).parents[1]

NAMES = [
    "Agent",
    "Operation",
    "OperationType",
    "ProgressEvent",
    "ProgressRegistry",
    "ProgressStream",
    "ProgressTracker",
    "Stage",
    "Status",
    "asgi",
    "disable",
    "disabled",
    "get_progress_registry",
    "get_progress_tracker",
    "instrument",
    "on_progress",
    "progress",
    "register_prometheus",
    "task",
    "track",
    "track_llm_progress",
    "track_progress",
    "uninstrument",
    "watch",
]


def run(code: str) -> str:
    """What a fresh interpreter prints."""
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT / "instrumentation")])
    environ = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_public_names_are_these() -> None:
    assert midspan.__all__ == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_each_public_name_is_there_and_documented(name: str) -> None:
    assert getattr(midspan, name).__doc__


def test_each_is_the_object_of_its_module_and_stays_the_same() -> None:
    assert midspan.Operation is midspan.models.Operation
    assert midspan.track is midspan.track


def test_an_unknown_name_raises_the_usual_error() -> None:
    with pytest.raises(AttributeError, match="module 'midspan' has no attribute 'tracks'"):
        _ = midspan.tracks  # type: ignore[attr-defined]


def test_dir_lists_every_public_name() -> None:
    assert {*NAMES, "__version__"} <= set(dir(midspan))


def test_importing_midspan_imports_nothing_else() -> None:
    code = "import sys; before = set(sys.modules); import midspan; print(*sorted(set(sys.modules) - before))"
    outside = [name for name in run(code).split() if name.split(".")[0] not in sys.stdlib_module_names]
    assert outside == ["midspan"]


def test_the_manual_api_imports_neither_an_sdk_nor_a_server() -> None:
    code = "import sys; from midspan import ProgressTracker, track_progress, track, Agent; print(*sys.modules)"
    heavy = {"opentelemetry.sdk", "starlette", "uvicorn", "openai", "prometheus_client", "midspan.server"}
    assert not heavy & set(run(code).split())


def test_star_import_gives_the_public_names() -> None:
    assert run("from midspan import *; print(sorted(n for n in dir() if n[0] != '_'))") == str(sorted(NAMES))


def test_the_version_is_that_of_the_distribution() -> None:
    code = "import importlib.metadata; importlib.metadata.version = lambda name: name + ' 1.2'; import midspan"
    assert run(f"{code}; print(midspan.__version__)") == "midspan 1.2"


def test_models_gives_the_value_types() -> None:
    assert {"Operation", "OperationType", "Stage", "Status"} <= set(midspan.models.__all__)
    assert all(getattr(midspan.models, name).__doc__ for name in midspan.models.__all__)
