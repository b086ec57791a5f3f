"""A task, midspan, and pages that watch it: EventSource, a React hook, a WebSocket.

    python examples/web/serve.py [PORT]

Then open http://127.0.0.1:8000/web/ (react.html wants `npm install` in this directory first).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

import midspan

STEPS = {
    "analyzing_rag": ("Mapping the question", "Finding the documents", "Reading the third document"),
    "generating_llm": ("Weighing what was found", "Writing the answer"),
}


@midspan.task("ask-question")
def ask_question(question: str, pause: float = 0.5, enable_streaming: bool = True) -> Iterator[dict[str, Any]]:
    """Answer a question, with a message at each step."""
    tracker = midspan.get_progress_tracker()
    done, total = 0, sum(map(len, STEPS.values()))
    for stage, messages in STEPS.items():
        tracker.enter_stage(stage, messages[0])
        for message in messages:
            done += 1
            yield {"progress": done / total, "status": message}
            time.sleep(pause)
    return {"response": f"{question} Certainly.", "confidence": 84}


def make_app() -> Starlette:
    pages = StaticFiles(directory=Path(__file__).parent, html=True)
    return Starlette(routes=[Mount("/web", pages), Mount("/", midspan.asgi())])


if __name__ == "__main__":
    uvicorn.run(make_app(), host="127.0.0.1", port=int(sys.argv[1]) if sys.argv[1:] else 8000)
