"""Settings → what is alive: checks, switching on twice, and off again."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from midspan.runtime.wiring import check, register_prometheus
from midspan.settings import SettingsError, load
from tests.environ import clean_environ


def run(code: str, **environ: str) -> Any:
    """What a fresh process prints as JSON; it must say nothing on stderr."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=60,
        env=clean_environ(**environ),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"MIDSPAN_PROVIDERS": "openia"}, "MIDSPAN_PROVIDERS='openia' is not valid: accepted is openai"),
        ({"MIDSPAN_PROVIDERS": "-openia"}, "accepted is openai"),
        ({"MIDSPAN_SERVER": "0.0.0.0:9465"}, "MIDSPAN_SERVER='0.0.0.0:9465' is not valid without a token"),
    ],
)
def test_what_only_shows_when_used_is_refused_at_once(environ: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError) as raised:
        check(load(environ))
    assert said in str(raised.value)


def test_a_public_address_with_a_token_is_accepted() -> None:
    check(load({"MIDSPAN_SERVER": "0.0.0.0:9465", "MIDSPAN_TOKEN": "t"}))


def test_instrumenting_twice_is_once_and_uninstrument_leaves_nothing() -> None:
    seen = run("""
        import json, threading, midspan
        from openai.resources.chat.completions import Completions
        before = Completions.create
        midspan.instrument(server="127.0.0.1:0")
        midspan.instrument()
        registry = midspan.get_progress_registry()
        names = sorted(t.name for t in threading.enumerate() if t.name.startswith("midspan"))
        processors = len(registry._processors)
        midspan.uninstrument()
        left = [t.name for t in threading.enumerate() if t.name.startswith("midspan")]
        print(json.dumps([names, processors, left, Completions.create is before, len(registry._processors)]))
    """)
    assert seen == [["midspan-pulse", "midspan-server"], seen[1], [], True, 0]
    assert seen[1] >= 1


def test_disabled_means_that_nothing_is_patched_and_nothing_starts() -> None:
    seen = run(
        """
        import json, sys, threading, midspan
        midspan.instrument()
        import openai
        print(json.dumps([[t.name for t in threading.enumerate()], "midspan_instrumentation" in sys.modules]))
        """,
        MIDSPAN_ENABLED="false",
    )
    assert seen == [["MainThread"], False]


def test_metrics_have_an_address_of_their_own_when_set() -> None:
    status, body, other = run(
        """
        import json, midspan, urllib.request, urllib.error
        from midspan.runtime.wiring import runtime
        midspan.instrument()
        url = runtime().serving.metrics_server.url
        page = urllib.request.urlopen(urllib.request.Request(url + "/metrics", headers={"Host": "pod:80"}))
        try:
            urllib.request.urlopen(url + "/v1/operations")
        except urllib.error.HTTPError as error:
            other = error.code
        print(json.dumps([page.status, "midspan_build_info" in page.read().decode(), other]))
        midspan.uninstrument()
        """,
        MIDSPAN_METRICS="127.0.0.1:0",
    )
    assert (status, body, other) == (200, True, 404)


@pytest.mark.parametrize(("setting", "shown"), [("0", False), ("5", True)])
def test_an_application_s_own_page_has_series_of_single_operations_as_the_setting_says(
    monkeypatch: pytest.MonkeyPatch, setting: str, shown: bool
) -> None:
    monkeypatch.setenv("MIDSPAN_LIVE_SERIES", setting)
    page = CollectorRegistry()
    register_prometheus(page)
    assert (b"midspan_live_operation" in generate_latest(page)) is shown


def test_the_app_may_set_its_own_tracer_provider_after_us() -> None:
    spans = run("""
        import json, midspan
        midspan.instrument()
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
        exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        trace.set_tracer_provider(provider)
        with midspan.ProgressTracker(name="job"):
            pass
        print(json.dumps([span.name for span in exporter.get_finished_spans()]))
    """)
    assert spans == ["job"]


def test_a_bad_setting_leaves_the_app_alone_under_auto_instrumentation() -> None:
    import os

    done = subprocess.run(
        [sys.executable, "-c", "from midspan.runtime.wiring import pre_instrument; pre_instrument(); print('app')"],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "MIDSPAN_SERVER": "nowhere"},
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "app\n")
    assert done.stderr.count("\n") == 1
    assert "midspan is off: MIDSPAN_SERVER='nowhere'" in done.stderr


def test_an_address_that_is_not_this_machines_is_one_line_and_everything_else_works() -> None:
    code = """
        import json, logging, sys
        logging.basicConfig(stream=sys.stdout, format="%(message)s")
        import midspan
        midspan.instrument()
        from midspan.runtime.wiring import runtime
        print(json.dumps(runtime().patched))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=60,
        env=clean_environ(MIDSPAN_SERVER="192.0.2.1:9465", MIDSPAN_TOKEN="read:secret"),
        check=True,
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "midspan: 192.0.2.1:9465 cannot be served: Cannot assign requested address",
        "true",
    ]
