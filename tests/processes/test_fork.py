"""A forked child starts empty and free, and takes nothing from its parent."""

from __future__ import annotations

from pathlib import Path

from tests.fakes.openai_server import FakeOpenAI
from tests.processes.programs import run

EVERY_LOCK = """
import threading
import gc, types

def locks():
    '''Every lock that midspan's modules and objects hold, found by walking from the modules.'''
    kinds = (type(threading.Lock()), type(threading.RLock()))
    found, seen = [], set()
    todo = [vars(m) for name, m in list(sys.modules.items()) if name.partition('.')[0].startswith('midspan')]
    while todo:
        thing = todo.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if isinstance(thing, kinds):
            found.append(thing)
        elif ours(thing):
            todo.extend(gc.get_referents(thing))
    return found

def ours(thing):
    kind = type(thing)
    if isinstance(thing, (threading.Thread, types.ModuleType, type)):
        return kind is type and thing.__module__.startswith('midspan')
    plain = kind in (dict, list, tuple, set, frozenset) or kind.__module__ in ('collections', '_collections')
    return plain or kind.__module__.startswith('midspan') or kind in (
        threading.Event, threading.Condition, types.MethodType)

def hold_all():
    '''In a thread: take all of them, say how many, and keep them.'''
    held = []
    def hold():
        held.extend(lock for lock in locks() if lock.acquire(blocking=False))
        ready.set()
        stay.wait()
        for lock in held:
            lock.release()
    ready, stay = threading.Event(), threading.Event()
    thread = threading.Thread(target=hold)
    thread.start()
    ready.wait()
    def release():
        stay.set()
        thread.join()
    return held, release
"""


def test_no_lock_of_midspan_is_held_in_the_child_whoever_held_it_in_the_parent() -> None:
    """Every lock that can be reached from midspan's modules is held by another thread at the fork."""
    with FakeOpenAI() as fake:
        out = run(
            EVERY_LOCK
            + """
import midspan, openai, logging
from prometheus_client import REGISTRY, generate_latest
from opentelemetry.sdk.trace import TracerProvider
from midspan.core import failures
from midspan.runtime.wiring import runtime
midspan.instrument(server="127.0.0.1:0", tracer_provider=TracerProvider())
midspan.register_prometheus()
client = openai.OpenAI(base_url=sys.argv[1])
question = dict(model="ok", messages=[{"role": "user", "content": "Hi."}])
client.chat.completions.create(**question)
tracker = midspan.ProgressTracker("parents", total_steps=9)
tracker.start()
registry = midspan.get_progress_registry()
own = midspan.ProgressRegistry()
elsewhere = midspan.ProgressTracker("elsewhere", registry=own)
changes = registry.subscribe()

def child():
    tracker.update(3, "not ours")
    tracker.complete()
    elsewhere.complete()
    assert list(changes) == []
    changes.close()
    assert registry.operations() == [] and own.operations() == []
    client.chat.completions.create(**question)
    stream = client.chat.completions.create(**question, stream=True)
    assert len(list(stream)) > 2
    with midspan.ProgressTracker("childs", registry=own), registry.subscribe() as mine:
        with midspan.ProgressTracker("childs"):
            pass
        assert [o.operation_id for o in mine.take()] == ["childs"]
    try:
        raise KeyError("ours")
    except KeyError:
        failures.report("child")
    assert failures.counts() == {"child": 1}
    page = generate_latest(REGISTRY).decode()
    assert 'midspan_operation_started_total{gen_ai_provider_name="openai"' in page
    midspan.instrument()
    assert threads() == ["midspan-pulse"]
    midspan.uninstrument()
    assert threads() == []

logging.getLogger("midspan").setLevel(logging.CRITICAL + 1)
runtime().serving.server.settle()  # a fork waits for that, and here every lock is held for longer than a moment
held, release = hold_all()
status = forked(child)
release()
print(status, len(held) >= 12)
tracker.complete()
assert registry.get("parents").status == "completed"
""",
            fake.base_url,
        )
    assert out == "0 True\n"


def test_a_child_starts_empty_and_the_parent_goes_on_as_if_nothing_had_happened() -> None:
    out = run(
        """
        import midspan
        midspan.instrument()
        registry = midspan.get_progress_registry()
        ended = midspan.ProgressTracker("before")
        ended.complete()
        parents = midspan.ProgressTracker("parents", total_steps=4)
        parents.update(1)

        def counts():
            return sorted((s.labels.name, s.started, sum(s.ended.values())) for s in registry.statistics.series())

        def child():
            assert registry.operations() == [] and counts() == []
            parents.update(2)
            parents.fail(ValueError("in the child"))
            assert parents.status == "lost" and parents.is_ended
            assert registry.operations() == [] and counts() == []
            with midspan.ProgressTracker("childs"):
                pass
            (seen,) = registry.operations()
            assert (seen.operation_id, seen.status, seen.owner.pid) == ("childs", "completed", os.getpid())
            assert counts() == [("general", 1, 1)]

        owner = registry.owner
        print(forked(child))
        assert registry.get("parents").status == "running" and registry.get("parents").step == 1
        assert registry.get("childs") is None
        assert registry.owner == owner
        parents.complete()
        print(counts())
        """
    )
    assert out == "0\n[('general', 2, 2)]\n"


def test_an_operation_of_a_child_names_the_one_it_was_forked_in_as_its_parent() -> None:
    out = run(
        """
        import midspan
        midspan.instrument()
        def child():
            with midspan.ProgressTracker("inner") as inner:
                details = inner.get_progress_details()
            print(details.parent_id, details.root_id)
        with midspan.ProgressTracker("outer"):
            assert forked(child) == 0
        """
    )
    assert out == "outer outer\n"


def test_a_span_open_at_the_fork_is_ended_by_the_parent_alone(tmp_path: Path) -> None:
    out = run(
        """
        import midspan
        midspan.instrument()
        telemetry(sys.argv[1])
        def child():
            with midspan.ProgressTracker(name="childs"):
                pass
            sys.exit(7)
        with midspan.ProgressTracker(name="parents"):
            print(forked(child))
        """,
        str(tmp_path / "spans"),
    )
    assert out == "7\n"
    assert sorted((tmp_path / "spans").read_text().splitlines()) == ["childs completed", "parents completed"]


def test_a_stream_in_flight_goes_on_in_the_parent_and_is_nothing_to_the_child() -> None:
    with FakeOpenAI() as fake:
        out = run(
            """
            import gc, midspan, openai
            midspan.instrument()
            registry = midspan.get_progress_registry()
            client = openai.OpenAI(base_url=sys.argv[1])
            question = dict(model="ok", messages=[{"role": "user", "content": "Hi."}], stream=True)
            stream = client.chat.completions.create(**question)
            next(stream)
            def child():
                global stream
                stream = None
                gc.collect()
                registry.reap()
                assert registry.operations() == []
            print(forked(child))
            list(stream)
            (operation,) = registry.operations()
            print(operation.status)
            """,
            fake.base_url,
        )
    assert out == "0\ncompleted\n"


def test_the_childs_threads_restart_with_its_first_operation_and_not_before() -> None:
    """A child that never does anything pays nothing, and one that is replaced by another program leaves no trace."""
    out = run(
        """
        import midspan, subprocess
        midspan.instrument(server="127.0.0.1:0")
        def child():
            assert threads() == []
            with midspan.ProgressTracker():
                assert threads() == ["midspan-pulse"]
        print(threads(), forked(child))
        done = subprocess.run(["sh", "-c", "echo $MIDSPAN_SERVED_BY"], preexec_fn=lambda: None, capture_output=True)
        assert int(done.stdout) == os.getpid() and not done.stderr
        """,
        stderr=None,
    )
    assert out == "['midspan-pulse', 'midspan-server'] 0\n"


def test_the_child_of_a_serving_process_says_once_who_serves_and_keeps_no_port() -> None:
    out = run(
        """
        import midspan, socket, logging
        from midspan.runtime.wiring import runtime
        from urllib.request import urlopen
        said = []
        class Keep(logging.Handler):
            def emit(self, record):
                said.append(record.getMessage())
        logging.getLogger("midspan").addHandler(Keep())
        midspan.instrument(server="127.0.0.1:0")
        address = runtime().serving.server.address
        parent = os.getpid()
        client = socket.create_connection(address)
        client.sendall(b"GET /healthz HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n")
        assert client.recv(1)
        go, hold = os.pipe()
        def child():
            os.close(hold)
            assert runtime().serving.server is None
            for _ in range(3):
                with midspan.ProgressTracker():
                    pass
            (line,) = said
            assert f"process {parent} of this run serves" in line and str(os.getpid()) in line, line
            os.read(go, 1)
        pid = os.fork()
        if pid == 0:
            child()
            os._exit(0)
        urlopen(runtime().serving.server.url + "/healthz").read()
        midspan.uninstrument()
        client.settimeout(20)
        while client.recv(1000):
            pass
        try:
            socket.create_connection(address, timeout=5)
        except ConnectionRefusedError:
            print("refused")
        os.close(hold)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        """
    )
    assert out == "refused\n0\n"


def test_a_child_that_outlives_the_serving_parent_serves_in_its_place() -> None:
    """As a program does that makes itself a daemon."""
    out = run(
        """
        import midspan
        from midspan.runtime.wiring import runtime
        from midspan.runtime.process import is_alive
        from urllib.request import urlopen
        answers, says = os.pipe()
        def first():
            midspan.instrument(server="127.0.0.1:0")
            go, hold = os.pipe()
            parent = os.getpid()
            if os.fork() == 0:
                os.close(hold)
                os.read(go, 1)
                eventually(lambda: not is_alive(parent))
                with midspan.ProgressTracker("daemons"):
                    page = urlopen(runtime().serving.server.url + "/v1/operations").read().decode()
                os.write(says, b"seen" if '"daemons"' in page else page.encode())
                os._exit(0)
            os._exit(0)
        print(forked(first))
        os.close(says)
        print(os.read(answers, 10000).decode())
        """,
        stderr=None,
    )
    assert out == "0\nseen\n"


def test_what_was_silenced_for_the_parents_server_thread_is_not_silent_in_the_child() -> None:
    """The ident of a thread is given out anew, and an application may serve with uvicorn as well."""
    out = run(
        """
        import logging, midspan
        from midspan.runtime.wiring import runtime
        from urllib.request import urlopen
        midspan.instrument(server="127.0.0.1:0")
        urlopen(runtime().serving.server.url + "/healthz").read()
        silenced = [logging.getLogger(name) for name in ("uvicorn.error", "uvicorn.access", "asyncio")]
        assert all(logger.filters for logger in silenced)
        def child():
            assert not any(logger.filters for logger in silenced)
        print(forked(child))
        """
    )
    assert out == "0\n"


def test_a_fork_right_after_the_start_finds_no_module_half_imported() -> None:
    """The server's thread imports; what it has begun at a fork could never be imported in the child."""
    out = run(
        """
        import midspan
        def child():
            import anyio.lowlevel, starlette.applications, uvicorn.loops.asyncio, uvicorn.protocols.http.h11_impl
        midspan.instrument(server="127.0.0.1:0")
        eventually(lambda: "starlette" in sys.modules or "uvicorn" in sys.modules)
        print(forked(child))
        """
    )
    assert out == "0\n"
