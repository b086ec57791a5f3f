"""A signal handler of the application may call midspan, whatever its own thread was doing inside of midspan."""

from __future__ import annotations

from tests.processes.programs import run
from tests.processes.test_fork import EVERY_LOCK

BEGIN = (
    EVERY_LOCK
    + """
import signal
import midspan
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import REGISTRY, generate_latest
from midspan.core import failures
faulthandler.dump_traceback_later(30, exit=True)  # it says where it hangs
trace.set_tracer_provider(TracerProvider())
midspan.instrument()
midspan.register_prometheus()
registry = midspan.get_progress_registry()
changes = registry.subscribe(eager=True)
outer = midspan.ProgressTracker("outer", total_steps=1_000_000, expect_children=1_000_000)
outer.start()
called = 0

def handler(number=None, frame=None):
    global called
    called += 1
    outer.update(called, "from the handler")
    with midspan.ProgressTracker(name="inner", parent=outer) as inner:
        inner.update(progress=0.5)
        inner.enter_stage("working")
    try:
        raise KeyError(called)
    except KeyError:
        failures.report("handler")
    if called % 50 == 1:
        registry.operations()
        changes.take()
        generate_latest(REGISTRY)

signal.signal(signal.SIGUSR1, handler)
handler()
"""
)


def test_a_handler_runs_through_while_its_thread_holds_any_lock_of_midspan() -> None:
    """Each lock that can be reached from midspan's modules is held by the thread that the signal comes to."""
    out = run(
        BEGIN
        + """
held = 0
for lock in locks():
    if lock.acquire(blocking=False):  # the pulse may be at work
        try:
            called = 0
            signal.raise_signal(signal.SIGUSR1)
            held += called
        finally:
            lock.release()
print(held)
""",
        stderr=None,
    )
    assert int(out) > 10


def test_signals_at_any_moment_lose_no_count_and_hang_nothing() -> None:
    out = run(
        BEGIN
        + """
soon = 0.0004

def alarm(number, frame):
    handler()
    signal.setitimer(signal.ITIMER_REAL, soon)

signal.signal(signal.SIGALRM, alarm)
signal.setitimer(signal.ITIMER_REAL, soon)
done = 0
while called < 300:
    with midspan.ProgressTracker(name="work") as tracker:
        tracker.update(progress=0.5, message="on")
        outer.advance()
    done += 1
    changes.take()
signal.signal(signal.SIGALRM, signal.SIG_IGN)
started = {series.labels.name: series.started for series in registry.statistics.series()}
ended = {series.labels.name: sum(series.ended.values()) for series in registry.statistics.series()}
assert started["inner"] == ended["inner"] == called, (started, ended, called)
assert started["work"] == ended["work"] == done, (started, ended, done)
assert [state.operation_id for state in registry.running()] == ["outer"]
print(failures.counts() == {"handler": called})
""",
        stderr=None,
    )
    assert out == "True\n"
