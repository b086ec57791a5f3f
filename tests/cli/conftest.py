"""Rows as the feed shows them, and `midspan` as a process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from midspan.cli.row import Failure, Row, TokenCounts
from tests.environ import clean_environ

NOW = datetime(2026, 11, 21, 10, 0, 0, tzinfo=UTC)


def row(**changed: Any) -> Row:
    """A running chat call that started two seconds before NOW, with the given fields changed."""
    given: dict[str, Any] = {
        "operation_id": "0123456789abcdef",
        "operation_type": "llm_request",
        "name": "chat",
        "model": "tiny",
        "status": "running",
        "stage": "streaming_response",
        "created_at": NOW - timedelta(seconds=2),
        "started_at": NOW - timedelta(seconds=2),
        "elapsed_seconds": 1.9,
        "tokens": TokenCounts(output=1234, estimated=True),
        "tokens_per_second": 41.6,
        "progress": 0.425,
        "estimated_remaining_seconds": 3.0,
    }
    return Row(**{**given, **changed})


def failed(**changed: Any) -> Row:
    """A row that has failed with a message of two lines."""
    error = Failure("openai.BadRequestError", "too long\nand more")
    return row(status="failed", error=error, tokens=None, tokens_per_second=None, **changed)


@pytest.fixture
def environ() -> dict[str, str]:
    """The environment without what would change midspan."""
    return clean_environ(MIDSPAN_SERVER="off")


@pytest.fixture
def start(environ: dict[str, str]) -> Callable[..., subprocess.Popen[str]]:
    """Starts `midspan WORDS`, in a session of its own, so that no terminal is its own."""

    def start(*words: str | Path, env: dict[str, str] | None = None, **options: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "midspan", *map(str, words)],
            env={**environ, **(env or {})},
            text=True,
            start_new_session=True,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
        )

    return start


@pytest.fixture
def run(start: Callable[..., subprocess.Popen[str]]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `midspan WORDS` to its end."""

    def run(*words: str | Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        with start(*words, env=env) as process:
            out, err = process.communicate(timeout=60)
            return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    return run
