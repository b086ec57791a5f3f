"""Fork and exit."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

from midspan.core.operation import Status
from midspan.runtime.process import end_running, owner
from midspan.tracking.tracker import ProgressRegistry, ProgressTracker


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_the_owner_is_this_process() -> None:
    assert owner().pid == os.getpid()
    assert owner().host


def test_what_runs_at_exit_is_lost_with_the_process(registry: ProgressRegistry) -> None:
    tracker = ProgressTracker("job", registry=registry)
    tracker.start()
    end_running(registry)
    operation = registry.get("job")
    assert operation is not None
    assert (operation.status, operation.status_reason) == (Status.LOST, "process exit")


def test_a_forked_child_starts_empty_and_its_own_operations_work() -> None:
    out = run(
        """
        import os, midspan
        midspan.instrument()
        registry = midspan.get_progress_registry()
        parent = midspan.ProgressTracker("parents", registry=registry)
        parent.start()
        child = os.fork()
        if child == 0:
            assert registry.get("parents") is None
            with midspan.ProgressTracker("childs"):
                pass
            assert registry.get("childs").status == "completed"
            assert registry.get("childs").owner.pid == os.getpid()
            import threading
            assert "midspan-pulse" in {t.name for t in threading.enumerate()}
            os._exit(7)
        _, status = os.waitpid(child, 0)
        assert registry.get("parents").status == "running"
        assert registry.get("childs") is None
        print(os.waitstatus_to_exitcode(status))
        """
    )
    assert out.strip() == "7"
