"""What waits for a module is done when that is imported, and no import fails because of it."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from midspan.core import failures
from midspan.runtime.awaiting import Awaiting
from tests.environ import clean_environ


@pytest.fixture
def name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A module that can be imported and is not."""
    name = f"api_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text("ready = True\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield name
    sys.modules.pop(name, None)


def test_it_is_done_before_whoever_imports_the_module_goes_on(name: str) -> None:
    done: list[bool] = []
    Awaiting(name).then(lambda: done.append(sys.modules[name].ready))
    assert done == []
    importlib.import_module(name)
    assert done == [True]


def test_it_is_done_at_once_where_the_module_is_there() -> None:
    done: list[str] = []
    Awaiting("json").then(lambda: done.append("now"))
    assert done == ["now"]


def test_of_several_the_newest_is_done_and_once(name: str) -> None:
    awaiting, done = Awaiting(name), list[str]()
    awaiting.then(lambda: done.append("older"))
    awaiting.then(lambda: done.append("newer"))
    importlib.import_module(name)
    assert done == ["newer"]
    awaiting.then(lambda: done.append("again"))
    assert done == ["newer", "again"]


def test_what_was_forgotten_is_not_done_until_it_is_asked_for_again(name: str) -> None:
    awaiting, done = Awaiting(name), list[str]()
    awaiting.then(lambda: done.append("before"))
    awaiting.forget()
    importlib.import_module(name)
    assert done == []
    awaiting.then(lambda: done.append("after"))
    assert done == ["after"]


def test_an_import_does_not_fail_because_of_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "raising", False)
    Awaiting(name).then(lambda: 1 / 0)
    assert importlib.import_module(name).ready
    assert failures.counts()["awaiting"] == 1


def test_a_lock_that_a_thread_of_the_parent_held_is_free_in_a_forked_child(name: str) -> None:
    awaiting = Awaiting(name)
    holder = threading.Thread(target=awaiting._lock.acquire)
    holder.start()
    holder.join()
    awaiting.forked()
    assert awaiting._lock.acquire(blocking=False)


# --- OpenTelemetry, which an application may import at any time, in a process of its own -----------------------

HEAD = """
import json, sys
import midspan

def job(name):
    with midspan.ProgressTracker(name=name):
        pass

def theirs():
    return sorted(name for name in sys.modules if name.startswith("opentelemetry"))

midspan.instrument()
job("before")
"""
SET_UP = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
exporter, provider = InMemorySpanExporter(), TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
"""


def run(program: str, **environ: str) -> tuple[Any, str]:
    """What a process prints as JSON, and what it says beside."""
    command = [sys.executable, "-c", HEAD + program]
    done = subprocess.run(command, env=clean_environ(**environ), capture_output=True, text=True, timeout=60, check=True)
    return json.loads(done.stdout), done.stderr


def test_an_application_without_opentelemetry_never_imports_it() -> None:
    assert run("midspan.uninstrument(); print(json.dumps(theirs()))") == ([], "")


def test_what_the_application_sets_up_later_sees_what_comes_then_and_is_mirrored() -> None:
    program = f"""
running = midspan.ProgressTracker(name="meanwhile")
{SET_UP}
running.complete()
job("after")
trace.get_tracer("theirs").start_span("chat m", attributes={{"gen_ai.operation.name": "chat"}}).end()
seen = [operation.name for operation in midspan.get_progress_registry().operations()]
print(json.dumps([[span.name for span in exporter.get_finished_spans()], seen]))
"""
    assert run(program) == ([["meanwhile", "after", "chat m"], ["chat", "after", "meanwhile", "before"]], "")


def test_what_is_imported_after_switching_off_is_left_as_it_is() -> None:
    program = f"""
midspan.uninstrument()
{SET_UP}
job("after")
print(json.dumps([trace.set_tracer_provider.__module__, len(exporter.get_finished_spans())]))
"""
    assert run(program) == (["opentelemetry.trace", 0], "")


def test_log_lines_need_no_opentelemetry() -> None:
    program = "midspan.ProgressTracker(name='late').fail('no'); midspan.uninstrument(); print(json.dumps(None))"
    lines = run(program, MIDSPAN_LOG="json")[1].splitlines()
    assert [json.loads(line)["body"] for line in lines] == ["late failed: error"]


def test_the_provider_that_a_variable_names_gets_the_first_operation() -> None:
    program = """
from opentelemetry import trace
print(json.dumps(type(trace._TRACER_PROVIDER).__module__))
"""
    assert run(program, OTEL_PYTHON_TRACER_PROVIDER="sdk_tracer_provider") == ("opentelemetry.sdk.trace", "")
