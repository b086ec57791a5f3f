"""The tasks that the server of these tests has."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import midspan

GO_ON = threading.Event()


@midspan.task("steps")
def steps(steps: int = 4, duration_seconds: float = 0.0) -> Iterator[dict[str, Any]]:
    """Go step by step."""
    for step in range(1, steps + 1):
        yield {"progress": step / steps, "status": f"Processing step {step}/{steps} - steps"}
        GO_ON.wait(duration_seconds / steps)
    result = {"steps_completed": steps}
    midspan.get_progress_tracker().complete(f"Completed {steps} steps successfully", result)


@midspan.task("forever")
async def forever() -> None:
    await asyncio.Event().wait()


@midspan.task("broken")
def broken() -> None:
    raise ValueError("no good")
