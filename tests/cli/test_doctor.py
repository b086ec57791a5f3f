"""`midspan doctor`: the whole command where SDKs are looked at, which it imports, and else its parts."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from midspan.cli import in_force, reachable
from midspan.cli.findings import Finding
from midspan.cli.installed import found_tools
from midspan.cli.reachable import found_collectors, found_server
from midspan.cli.sdks import found_providers, listed
from midspan.runtime import wiring
from midspan_instrumentation._examining import Callables, Examined
from tests.cli.served import Served
from tests.programs import free_port

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Doctor = Callable[..., tuple[int, dict[str, Any]]]
Look = Callable[..., dict[str, Finding]]


@pytest.fixture
def doctor(run: Run) -> Doctor:
    """The whole command: exit status, and the findings by name. Where it looks for a server nobody listens."""

    def doctor(**env: str) -> tuple[int, dict[str, Any]]:
        done = run("doctor", "--json", env={"MIDSPAN_SERVER": f"127.0.0.1:{free_port()}", **env})
        assert done.stderr == ""
        return done.returncode, json.loads(done.stdout)

    return doctor


@pytest.fixture
def look(monkeypatch: pytest.MonkeyPatch) -> Look:
    """The findings by name, but for the SDKs, with these variables: the quick part, in this process."""

    def look(**env: str) -> dict[str, Finding]:
        for name in [name for name in os.environ if name.startswith(("MIDSPAN_", "OTEL_"))]:
            monkeypatch.delenv(name)
        for name, value in {"MIDSPAN_SERVER": f"127.0.0.1:{free_port()}", **env}.items():
            monkeypatch.setenv(name, value)
        settings, error = in_force.load()
        found = [*in_force.found_settings(settings, error), found_server(settings), *found_collectors(), *found_tools()]
        assert all(finding.advice for finding in found if finding.state == "problem")
        return {finding.name: finding for finding in found}

    return look


@pytest.fixture
def listening() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_a_sound_environment_has_no_problem(run: Run) -> None:
    done = run("doctor", env={"MIDSPAN_SERVER": f"127.0.0.1:{free_port()}"})
    assert (done.returncode, done.stderr) == (0, "")
    for part in (
        "ok  midspan: ",
        "ok  openai: openai ",
        "callables: Batches.create/retrieve/cancel",
        "--  MIDSPAN_STALL_AFTER: 60",
        "no problem was found",
    ):
        assert part in done.stdout


def test_settings_are_told_with_their_source_and_without_secrets(look: Look) -> None:
    found = look(MIDSPAN_TOKEN="a-secret", MIDSPAN_EVENTS="span")
    assert found["MIDSPAN_EVENTS"].said == "span (from the environment)"
    assert found["MIDSPAN_LIVE_SERIES"].said == "20 (default)"
    assert found["MIDSPAN_PROVIDERS"].said == "all that are installed (default)"
    assert found["MIDSPAN_TOKEN"].said == "set, not shown (from the environment)"
    assert "a-secret" not in repr(found)


@pytest.mark.parametrize(
    ("variable", "value", "name"),
    [
        ("MIDSPAN_EVENTS", "everything", "environment"),
        ("MIDSPAN_EVENT", "span", "environment"),
        ("MIDSPAN_PROVIDERS", "nobody", "environment"),
        ("MIDSPAN_ENABLED", "false", "midspan"),
        ("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "redis,midspan", "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"),
    ],
)
def test_what_keeps_midspan_off_is_a_problem(look: Look, variable: str, value: str, name: str) -> None:
    assert look(**{variable: value})[name].state == "problem"


def test_a_disabled_sdk_is_told_and_no_problem(look: Look) -> None:
    assert look(OTEL_SDK_DISABLED="true")["OTEL_SDK_DISABLED"].state == "info"


@pytest.mark.parametrize(
    ("content", "said"),
    [("raise OSError('half of it')", "OSError: half of it"), ("", "lacks Completions.create")],
)
def test_an_sdk_that_does_not_fit_is_a_problem(doctor: Doctor, tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "openai").mkdir()
    (tmp_path / "openai" / "__init__.py").write_text(content)
    status, told = doctor(PYTHONPATH=str(tmp_path))
    [finding] = [finding for finding in told["findings"] if finding["state"] == "problem"]
    assert (status, told["problems"], finding["name"]) == (1, 1, "openai") and said in finding["said"]


def test_callables_are_listed_by_class_and_without_their_async_twins() -> None:
    names = ["Jobs.list", "Jobs.get", "AsyncJobs.get", "Jobs.get_async", "AsyncJobs.wait", "pull"]
    assert listed(names) == "Jobs.list/get, AsyncJobs.wait, pull"


def test_jobs_that_the_installed_release_lacks_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def examined(name: str, jobs: Callables) -> Examined:
        return Examined(name, "json", True, Callables(("Chat.create",)), jobs)

    found = [
        examined("older", Callables(absent=("Batches.create",))),
        examined("newer", Callables(("Batches.create",), absent=("Videos.create",))),
        examined("jobless", Callables()),
    ]
    monkeypatch.setattr(wiring, "examine_providers", lambda: found)
    assert {finding.name: finding.said for finding in found_providers() if finding.section == "jobs"} == {
        "older": "not in the installed release: Batches.create",
        "newer": "seen by 1 callable: Batches.create; not in the installed release: Videos.create",
    }


def test_other_tools_are_named(look: Look, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, version in (("logfire", "4.1"), ("opentelemetry_instrumentation_openai_v2", "2.0")):
        folder = tmp_path / f"{name}-{version}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: {version}\n")
    monkeypatch.syspath_prepend(tmp_path)
    found = look()
    assert found["logfire"].said.startswith("4.1 (Logfire)")
    assert "(OpenTelemetry GenAI)" in found["opentelemetry-instrumentation-openai-v2"].said


def test_a_running_server_answers(look: Look) -> None:
    served = Served(token="read:secret")
    address = served.url.removeprefix("http://")
    try:
        assert look(MIDSPAN_SERVER=address, MIDSPAN_TOKEN="read:secret")[served.url].said == "midspan answers"
        refused = look(MIDSPAN_SERVER=address)[served.url]
        assert refused.state == "problem" and "MIDSPAN_TOKEN" in refused.said
    finally:
        served.stop()


def test_that_no_server_runs_is_no_problem(look: Look) -> None:
    address = f"127.0.0.1:{free_port()}"
    assert look(MIDSPAN_SERVER=address)[f"http://{address}"].state == "info"


def test_a_stranger_at_the_servers_address_is_a_problem(
    look: Look, listening: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reachable, "TIMEOUT_SECONDS", 0.2)
    assert "no midspan answers" in look(MIDSPAN_SERVER=listening.removeprefix("http://"))[listening].said


def test_collectors_are_reached_or_a_problem(look: Look, listening: str) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    found = look(OTEL_EXPORTER_OTLP_ENDPOINT=listening, OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=nobody)
    assert found[f"OTLP {listening}"].state == "ok"
    assert found[f"OTLP {nobody}"].state == "problem" and "Connection refused" in found[f"OTLP {nobody}"].said


def test_a_signal_that_is_not_exported_needs_no_collector(look: Look) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    assert f"OTLP {nobody}" not in look(OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=nobody, OTEL_LOGS_EXPORTER="none")


@pytest.mark.parametrize(("protocol", "port"), [("grpc", 4317), ("http/protobuf", 4318)])
def test_an_exporter_without_an_address_goes_to_the_default_one(look: Look, protocol: str, port: int) -> None:
    found = look(OTEL_TRACES_EXPORTER="otlp,midspan", OTEL_EXPORTER_OTLP_PROTOCOL=protocol)
    assert f"OTLP http://localhost:{port}" in found
