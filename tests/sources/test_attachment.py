"""The mirror finds the application's tracer provider, whenever that is set, and lets go of it again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from midspan.core import failures
from midspan.sources.attachment import MirrorAttachment
from midspan.tracking.tracker import ProgressRegistry
from tests.environ import clean_environ

CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}

HEAD = """
import json, os, sys
from opentelemetry import trace
import midspan
from midspan.core import failures
failures.raising = True
from midspan.tracking.tracker import get_progress_registry
CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}

def sdk():
    from opentelemetry.sdk.trace import TracerProvider
    return TracerProvider(shutdown_on_exit=False)

def call(name="chat m"):
    trace.get_tracer("theirs").start_span(name, attributes=CHAT).end()

def seen():
    return [(o.name, str(o.status)) for o in get_progress_registry().operations()]
"""

ONE = [["chat", "completed"]]


def run(script: str, *command: str, **environ: str) -> Any:
    """What a process of its own prints, as JSON; it must print nothing on stderr."""
    found = clean_environ(PYTHONPATH=os.pathsep.join(sys.path), **environ)
    argv = [*(command or (sys.executable,)), "-c", HEAD + script]
    done = subprocess.run(argv, env=found, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


@pytest.fixture
def attachment(registry: ProgressRegistry) -> Iterator[MirrorAttachment]:
    made = MirrorAttachment(registry)
    yield made
    made.detach()


def call(provider: TracerProvider) -> None:
    provider.get_tracer("theirs").start_span("chat m", attributes=CHAT).end()


# --- the global provider, each time in a process of its own ------------------------------------------------


def test_a_global_provider_that_is_there_already_is_mirrored() -> None:
    assert run("trace.set_tracer_provider(sdk()); midspan.instrument(); call(); print(json.dumps(seen()))") == ONE


def test_a_global_provider_that_is_set_later_is_mirrored_and_set_as_ever() -> None:
    script = """
midspan.instrument()
mine = sdk()
answer = trace.set_tracer_provider(tracer_provider=mine)
call()
print(json.dumps([seen(), answer, trace.get_tracer_provider() is mine]))
"""
    assert run(script) == [ONE, None, True]


def test_a_provider_that_is_refused_is_not_mirrored_and_refused_with_the_same_warning() -> None:
    script = """
import logging
lines = []
class Handler(logging.Handler):
    def emit(self, record):
        lines.append(record.getMessage())
logging.getLogger("opentelemetry.trace").addHandler(Handler())
logging.getLogger("opentelemetry.trace").propagate = False
midspan.instrument()
trace.set_tracer_provider(sdk())
other = sdk()
trace.set_tracer_provider(other)
other.get_tracer("theirs").start_span("chat m", attributes=CHAT).end()
print(json.dumps([seen(), lines]))
"""
    assert run(script) == [[], ["Overriding of current TracerProvider is not allowed"]]


def test_a_provider_set_through_a_name_imported_before_is_found_by_the_pulse() -> None:
    script = """
from opentelemetry.trace import set_tracer_provider
midspan.instrument()
set_tracer_provider(sdk())
from midspan.runtime.wiring import runtime
runtime().pulse.beat()
call()
print(json.dumps(seen()))
"""
    assert run(script) == ONE


def test_a_wrong_call_fails_as_ever() -> None:
    script = """
def error():
    try:
        trace.set_tracer_provider()
    except TypeError as error:
        return str(error)
before = error()
midspan.instrument()
print(json.dumps([before, error()]))
"""
    before, after = run(script)
    assert before == after


def test_instrumenting_twice_mirrors_once() -> None:
    script = """
midspan.instrument()
trace.set_tracer_provider(sdk())
midspan.instrument()
midspan.instrument(tracer_provider=trace.get_tracer_provider())
call()
print(json.dumps([seen(), len(trace.get_tracer_provider()._active_span_processor._span_processors)]))
"""
    assert run(script) == [ONE, 1]


def test_uninstrument_restores_the_function_and_mirrors_no_more_and_instrument_begins_again() -> None:
    script = """
before = trace.set_tracer_provider
midspan.instrument()
trace.set_tracer_provider(sdk())
midspan.uninstrument()
restored = trace.set_tracer_provider is before
call()
off = seen()
midspan.instrument()
call()
print(json.dumps([restored, off, seen()]))
"""
    assert run(script) == [True, [], ONE]


def test_uninstrument_leaves_a_wrapper_of_somebody_else_and_is_inert_under_it() -> None:
    script = """
midspan.instrument()
ours = trace.set_tracer_provider
theirs = trace.set_tracer_provider = lambda provider: ours(provider)
midspan.uninstrument()
trace.set_tracer_provider(sdk())
call()
print(json.dumps([trace.set_tracer_provider is theirs, seen()]))
"""
    assert run(script) == [True, []]


def test_a_provider_given_in_code_is_mirrored_without_being_the_global_one() -> None:
    script = """
mine = sdk()
midspan.instrument(tracer_provider=mine)
mine.get_tracer("theirs").start_span("chat m", attributes=CHAT).end()
print(json.dumps(seen()))
"""
    assert run(script) == ONE


def test_disabled_midspan_mirrors_nothing() -> None:
    script = """
before = trace.set_tracer_provider
midspan.instrument()
trace.set_tracer_provider(sdk())
call()
print(json.dumps([before is trace.set_tracer_provider, seen()]))
"""
    assert run(script, MIDSPAN_ENABLED="false") == [True, []]


def test_without_a_provider_neither_the_sdk_is_imported_nor_a_provider_made() -> None:
    script = """
midspan.instrument()
from midspan.runtime.wiring import runtime
runtime().pulse.beat()
print(json.dumps(["opentelemetry.sdk.trace" in sys.modules, trace._TRACER_PROVIDER is None]))
"""
    assert run(script, OTEL_PYTHON_TRACER_PROVIDER="sdk_tracer_provider") == [False, True]


def test_in_a_forked_child_the_span_of_the_parent_is_not_counted_again() -> None:
    script = """
trace.set_tracer_provider(sdk())
midspan.instrument()
span = trace.get_tracer("theirs").start_span("chat m", attributes=CHAT)
reading, writing = os.pipe()
child = os.fork()
if child == 0:
    span.end()
    call()
    os.write(writing, json.dumps(seen()).encode())
    os._exit(0)
os.waitpid(child, 0)
span.end()
print(json.dumps([json.loads(os.read(reading, 1000)), seen()]))
"""
    assert run(script) == [ONE, ONE]


# --- providers of the test's own -----------------------------------------------------------------------


def test_attaching_again_after_detaching_adds_no_second_processor(
    attachment: MirrorAttachment, registry: ProgressRegistry, provider: TracerProvider
) -> None:
    for _ in range(3):
        attachment.attach(provider)
        attachment.detach()
    attachment.attach(provider)
    call(provider)
    assert len(registry.operations()) == 1


def test_the_registry_asks_the_mirror_only_while_that_is_attached(
    attachment: MirrorAttachment, registry: ProgressRegistry, provider: TracerProvider
) -> None:
    attachment.attach()
    assert registry.foreign is None
    attachment.attach(provider)
    assert registry.foreign is not None
    attachment.detach()
    assert registry.foreign is None


def test_a_provider_that_cannot_be_hashed_is_mirrored(
    attachment: MirrorAttachment, registry: ProgressRegistry, provider: TracerProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TracerProvider, "__hash__", None)
    attachment.attach(provider)
    attachment.attach(provider)
    call(provider)
    assert len(registry.operations()) == 1


def test_a_provider_that_refuses_the_mirror_changes_nothing_for_the_application(
    attachment: MirrorAttachment, provider: TracerProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "raising", False)
    monkeypatch.setattr(provider, "add_span_processor", lambda _: 1 / 0)
    attachment.attach(provider)
    assert failures.counts()["otel_spans"] == 1


@pytest.mark.parametrize("provider", [trace.NoOpTracerProvider(), None])
def test_a_provider_without_processors_is_left_alone(
    attachment: MirrorAttachment, registry: ProgressRegistry, provider: trace.TracerProvider | None
) -> None:
    attachment.attach(provider)
    assert registry.foreign is None
