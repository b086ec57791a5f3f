"""The threads that midspan starts: few, named, daemons, and gone after `uninstrument()`."""

from __future__ import annotations

from tests.processes.programs import run


def test_every_thread_is_a_named_daemon_and_ends_with_uninstrument() -> None:
    out = run(
        """
        import json, midspan, threading
        from midspan.runtime.feed import Feed, Pipe, VARIABLE
        from midspan.runtime.wiring import runtime
        from urllib.request import urlopen
        reading, writing = os.pipe()
        os.environ[VARIABLE] = str(Pipe.of(writing))
        os.environ["MIDSPAN_METRICS"] = "127.0.0.1:0"
        for _ in range(2):
            midspan.instrument(server="127.0.0.1:0")
            runtime().send_feed()
            with midspan.ProgressTracker():
                pass
            for server in (runtime().serving.server, runtime().serving.metrics_server):
                for path in ("/metrics", "/healthz", "/readyz"):
                    urlopen(server.url + path).read()
            urlopen(runtime().serving.server.url + "/v1/operations").read()
            ours = [thread for thread in threading.enumerate() if thread is not threading.main_thread()]
            assert all(thread.daemon for thread in ours), ours
            # Where the API is computed, anyio adds threads of its own.
            assert {thread.name.partition(" ")[0].partition("-")[0] for thread in ours} <= {"midspan", "AnyIO"}, ours
            print(threads())
            midspan.uninstrument()
            eventually(lambda: threading.enumerate() == [threading.main_thread()])
            assert "MIDSPAN_SERVED_BY" not in os.environ
        assert b'"completed"' in os.read(reading, 100_000)
        try:
            os.fstat(writing)
        except OSError:
            print("closed")
        """
    )
    pulse_and_servers = "'midspan-pulse', 'midspan-server', 'midspan-server']\n"
    assert out == f"['midspan-feed', {pulse_and_servers}[{pulse_and_servers}closed\n"


def test_manual_tracking_alone_starts_no_thread() -> None:
    out = run(
        """
        import midspan, threading
        with midspan.ProgressTracker(total_steps=1) as tracker:
            tracker.update(1)
        print(threading.active_count())
        """
    )
    assert out == "1\n"
