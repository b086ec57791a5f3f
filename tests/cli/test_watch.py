"""`midspan watch`: what it says and how it ends; the whole command runs in tests/instrumentation/jobs."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator

import pytest

from midspan.cli import watch
from midspan.cli.wrong_use import WrongUseError
from midspan.core.operation import Operation
from midspan.runtime import wiring
from midspan.tracking.tracker import ProgressTracker


class Snapshots:
    """A job that is told of so often, and then ends as `last` says, or raises that."""

    def __init__(self, last: str | BaseException, troubles: tuple[str | None, ...] = (None,)) -> None:
        self.trouble: str | None = None
        self.on_trouble: Callable[[str], object] | None = None
        self._last = last
        self._troubles = troubles

    def __iter__(self) -> Iterator[Operation]:
        tracker = ProgressTracker("batch_1", "batch", total=4)
        for trouble in self._troubles:
            if trouble is not None and trouble != self.trouble and self.on_trouble is not None:
                self.on_trouble(trouble)
            self.trouble = trouble
            tracker.advance()
            yield tracker.get_progress_details()
        if isinstance(self._last, BaseException):
            raise self._last
        getattr(tracker, self._last)()
        yield tracker.get_progress_details()


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What the command finds: snapshots, or an exception; nothing of midspan is switched on."""
    answers: list[object] = []

    def by_name(_provider: str, _job_id: str, _kind: str | None) -> object:
        if isinstance(answers[0], Exception):
            raise answers[0]
        return answers[0]

    monkeypatch.setattr(wiring, "boot", lambda: None)
    monkeypatch.setattr(wiring, "watch_job_by_name", by_name)
    return answers


@pytest.mark.parametrize(
    ("ending", "status", "said"),
    [
        ("complete", 0, "1 operation: 1 completed"),
        ("fail", 1, "failed: batch after"),
        ("cancel", 1, "1 operation: 1 cancelled"),
    ],
)
def test_the_exit_status_is_the_job_s(
    found: list[object], capsys: pytest.CaptureFixture[str], ending: str, status: int, said: str
) -> None:
    found.append(Snapshots(ending))
    assert watch.main(["openai", "batch_1"]) == status
    out, err = capsys.readouterr()
    assert said in err and "batch [atch_1] running" in err
    assert out == ""


def test_quiet_says_nothing(found: list[object], capsys: pytest.CaptureFixture[str]) -> None:
    found.append(Snapshots("fail"))
    assert watch.main(["openai", "batch_1", "--quiet"]) == 1
    assert capsys.readouterr().err == ""


def test_a_provider_in_trouble_is_told_of_once(found: list[object], capsys: pytest.CaptureFixture[str]) -> None:
    found.append(Snapshots("complete", (None, "RateLimitError: slow", "RateLimitError: slow", None)))
    assert watch.main(["openai", "batch_1"]) == 0
    assert capsys.readouterr().err.count("asking again, because of RateLimitError: slow") == 1


def test_the_sdk_s_own_exception_is_one_line(found: list[object], capsys: pytest.CaptureFixture[str]) -> None:
    found.append(Snapshots(LookupError("no\nsuch batch, Bearer sk-0123456789abcdef0123")))
    assert watch.main(["openai", "batch_1"]) == 1
    *_, last = capsys.readouterr().err.splitlines()
    assert last.startswith("midspan: LookupError: no such batch") and "0123456789abcdef" not in last


def test_ctrl_c_is_130_and_the_job_goes_on(found: list[object], capsys: pytest.CaptureFixture[str]) -> None:
    found.append(Snapshots(KeyboardInterrupt()))
    assert watch.main(["openai", "batch_1"]) == 130
    assert "not watched any more; the job goes on at openai" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            ModuleNotFoundError("No module named 'openai'"),
            "the SDK of openai is not installed: No module named 'openai'",
        ),
        (ValueError("'x' is no kind of job of openai"), "watch: 'x' is no kind of job of openai"),
        (RuntimeError("Missing credentials.\nSet OPENAI_API_KEY"), "watch: Missing credentials. Set OPENAI_API_KEY"),
    ],
    ids=["sdk", "kind", "key"],
)
def test_what_cannot_be_asked_for_is_wrong_use(found: list[object], error: Exception, said: str) -> None:
    found.append(error)
    with pytest.raises(WrongUseError, match=said):
        watch.main(["openai", "x"])


@pytest.mark.parametrize("words", [[], ["openai"], ["openai", "batch_1", "--every", "5"]], ids=str)
def test_wrong_words_are_wrong_use(words: list[str]) -> None:
    with pytest.raises(WrongUseError, match="midspan watch --help"):
        watch.main(words)


def test_a_provider_without_jobs_is_named_with_those_that_have_some() -> None:
    with pytest.raises(WrongUseError, match="'acme' has no jobs that are known here; there are: openai, anthropic"):
        watch.main(["acme", "x"])


def test_a_bad_setting_is_told_before_anything_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIDSPAN_EVENTS", "loud")
    with pytest.raises(WrongUseError, match="watch: MIDSPAN_EVENTS='loud' is not valid"):
        watch.main(["openai", "batch_1"])


def test_a_provider_that_cannot_be_reached_is_told_before_the_job_was_ever_seen(
    start: Callable[..., subprocess.Popen[str]],
) -> None:
    environ = {"OPENAI_API_KEY": "x", "OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}
    with start("watch", "openai", "batch_1", env=environ) as process:
        assert process.stderr is not None
        assert "asking again, because of APIConnectionError" in process.stderr.readline()
        process.terminate()
        process.communicate(timeout=30)
