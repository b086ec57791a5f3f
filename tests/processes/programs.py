"""Real Python programs, to be forked, signalled and ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap

from tests import environ

ALWAYS = """
import faulthandler, os, sys
faulthandler.enable()

def forked(child, within=30):
    '''Run `child` in a fork; its exit status, or a failure where it hangs.'''
    import time
    pid = os.fork()
    if pid == 0:
        status = 99
        try:
            child()
            status = 0
        except SystemExit:
            raise
        except BaseException:
            import traceback
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            if sys.exc_info()[0] is not SystemExit:
                os._exit(status)
    end = time.monotonic() + within
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(pid, 6)  # it says where
    os.waitpid(pid, 0)
    return 'hangs'

def eventually(condition, within=30):
    import time
    end = time.monotonic() + within
    while not condition():
        assert time.monotonic() < end, 'not in time'
        time.sleep(0.005)

def threads():
    import threading
    return sorted(t.name for t in threading.enumerate() if t.name.startswith('midspan'))

class ToFile:
    '''A span exporter that writes `name status` lines.'''
    def __init__(self, path):
        self.path = path
    def export(self, spans):
        from opentelemetry.sdk.trace.export import SpanExportResult
        with open(self.path, 'a') as file:
            for span in spans:
                file.write(f"{span.name} {span.attributes.get('midspan.operation.status')}\\n")
        return SpanExportResult.SUCCESS
    def shutdown(self):
        pass
    def force_flush(self, timeout_millis=0):
        return True

def telemetry(path):
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(ToFile(path)))
    trace.set_tracer_provider(provider)
"""


def clean_environ(**more: str) -> dict[str, str]:
    """The environment without what would change midspan, and with the given variables."""
    return environ.clean_environ(OPENAI_API_KEY="none", **more)


def program(code: str) -> str:
    """The code with `forked`, `eventually`, `threads` and `telemetry` before it."""
    return ALWAYS + textwrap.dedent(code)


def start(
    code: str, *arguments: str, under: tuple[str, ...] = (), options: tuple[str, ...] = (), **more: str
) -> subprocess.Popen[str]:
    """The program, started; `under` are words that come before the interpreter, `options` are its own."""
    return subprocess.Popen(
        [*under, sys.executable, *options, "-c", program(code), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=clean_environ(**more),
        start_new_session=True,
    )


def run(
    code: str,
    *arguments: str,
    status: int = 0,
    stderr: str | None = "",
    options: tuple[str, ...] = (),
    **more: str,
) -> str:
    """What the program prints; it has to end with `status` and exactly `stderr` (None: whatever)."""
    with start(code, *arguments, options=options, **more) as process:
        try:
            out, err = process.communicate(timeout=45)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGABRT)  # those that it has forked too; they say where they are
            _, err = process.communicate()
            raise AssertionError(f"hangs: {err}") from None
    assert process.returncode == status, err
    assert stderr is None or err == stderr, err
    return out
