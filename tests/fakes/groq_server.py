"""Groq's wire format: OpenAI's, with the usage of a stream in a field of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator

from tests.fakes.openai_server import OpenAIWire, answer_of, events_of
from tests.fakes.serving import FakeServer, Json

_LAST = '"finish_reason": "'


class GroqWire(OpenAIWire):
    """What Groq's API says."""

    def events(self, path: str, request: Json) -> Iterator[str | bytes]:
        usage = answer_of(path, request)["usage"]
        for event in events_of(path, request):
            if _LAST in event and request["model"] != "odd":
                chunk = {**json.loads(event.removeprefix("data: ")), "x_groq": {"id": "req_1", "usage": usage}}
                yield f"data: {json.dumps(chunk)}\n\n"
            else:
                yield event


class FakeGroq(FakeServer):
    """A server that speaks it."""

    def __init__(self) -> None:
        super().__init__(GroqWire())
