"""Report progress by hand: a decorator, a tracker in a `with` block, and a loop.

    python examples/manual_steps.py

Nothing has to be running to see it: the callback below prints every change. Under `midspan run` the same operations
are in its live view as well.
"""

from __future__ import annotations

import time

from midspan import Operation, ProgressTracker, get_progress_tracker, on_progress, track, track_progress

PAUSE = 0.1


@track_progress(operation_type="workflow", total_steps=3)
def publish(report: str) -> str:
    tracker = get_progress_tracker()
    for step, message in enumerate(("Validating", "Rendering", "Uploading"), 1):
        tracker.update(step, message)
        time.sleep(PAUSE)
    return f"{report} is published"


def collect(sources: list[str]) -> None:
    with ProgressTracker(name="collect", operation_type="retrieval", total=len(sources), unit="source") as tracker:
        for source in sources:
            tracker.enter_stage(f"reading {source}")
            time.sleep(PAUSE)
            tracker.advance()


def show(operation: Operation) -> None:
    percent = "  ?  " if operation.percent_complete is None else f"{operation.percent_complete:4.0f}%"
    print(f"{percent}  {operation.name:<8} {operation.status:<9} {operation.stage or operation.message or ''}")


def main() -> None:
    with on_progress(show):
        collect(["archive", "wiki"])
        for _ in track(range(3), name="index", unit="page"):
            time.sleep(PAUSE)
        print(publish("The report"))


if __name__ == "__main__":
    main()
