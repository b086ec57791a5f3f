"""Long tasks that an API or an agent may start, watch, and cancel.

    midspan serve --tasks examples/long_tasks.py
    curl -X POST http://127.0.0.1:9465/v1/tasks/data_analysis -H 'content-type: application/json' -d '{"steps": 5}'

Each is a function with `@midspan.task`: a generator that yields its progress, a coroutine that is cancelled where it
waits, or a plain function.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import midspan


def work(task_type: str, duration_seconds: float, steps: int) -> Iterator[dict[str, Any]]:
    for step in range(1, steps + 1):
        yield {"progress": step / steps, "status": f"Processing step {step}/{steps} - {task_type}"}
        time.sleep(duration_seconds / steps)
    result = {"task_type": task_type, "steps_completed": steps}
    midspan.get_progress_tracker().complete(f"Completed {steps} steps successfully", result)


@midspan.task("data_analysis")
def data_analysis(duration_seconds: float = 30, steps: int = 10) -> Iterator[dict[str, Any]]:
    """Analyse data, step by step."""
    return (yield from work("data_analysis", duration_seconds, steps))


@midspan.task("data_processing")
def data_processing(duration_seconds: float = 30, steps: int = 10) -> Iterator[dict[str, Any]]:
    """Process data, step by step."""
    return (yield from work("data_processing", duration_seconds, steps))


@midspan.task("nap")
async def nap(seconds: float = 60) -> str:
    """Wait, and do nothing: cancelling it is immediate."""
    await asyncio.sleep(seconds)
    return f"slept {seconds:g} s"


@midspan.task("primes", operation_type="batch")
def primes(below: int = 200_000) -> int:
    """Count the primes below a number."""
    found = 0
    for number in midspan.track(range(2, below), name="numbers"):
        found += all(number % divisor for divisor in range(2, int(number**0.5) + 1))
    return found
