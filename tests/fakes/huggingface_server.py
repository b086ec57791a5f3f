"""The wire format of Hugging Face's servers: text generation, and tasks; chats are as OpenAI's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.fakes.openai_server import OpenAIWire
from tests.fakes.serving import CONTENT, USAGE, FakeServer, Json, Wire

CHATS = OpenAIWire()


class HuggingFaceWire(Wire):
    """What it says. The model of a task stands in no request: it is the last part of the address."""

    def model_of(self, path: str, request: Json) -> str:
        return request.get("model") or path.split("/")[1]

    def answer(self, path: str, request: Json) -> Any:
        if path.endswith("/completions"):
            return CHATS.answer(path, self._chat(path, request))
        if "parameters" not in request:
            return [[0.5, 0.25]]
        if "candidate_labels" in request["parameters"]:
            return [{"label": "yes", "score": 1.0}]
        return [_generated(self.model_of(path, request), request)]

    def events(self, path: str, request: Json) -> Iterator[str | bytes]:
        model = self.model_of(path, request)
        if model == "failing":
            yield _event({"error": "overloaded", "error_type": "overloaded"})
        elif path.endswith("/completions"):
            yield from CHATS.events(path, self._chat(path, request))
        else:
            yield from map(_event, _tokens(model, request))

    def is_token(self, event: str | bytes) -> bool:
        return CHATS.is_token(event) or (
            '"token"' in str(event) and any(json.dumps(part) in str(event) for part in CONTENT)
        )

    def error(self, message: str, kind: str) -> Json:
        return {"error": message}

    def prompt(self, path: str, request: Json) -> str:
        return request["inputs"] if "inputs" in request else CHATS.prompt(path, request)

    def _chat(self, path: str, request: Json) -> Json:
        return {**request, "model": self.model_of(path, request)}


class FakeHuggingFace(FakeServer):
    """A server that speaks it."""

    def __init__(self) -> None:
        super().__init__(HuggingFaceWire())


def _event(fields: Json) -> str:
    return f"data:{json.dumps(fields)}\n\n"


def _parts(model: str, request: Json) -> tuple[str, ...]:
    return ("You said: ", request["inputs"]) if model == "parrot" else CONTENT


def _details(model: str) -> Json:
    reason = "length" if model == "limited" else "eos_token"
    return {"finish_reason": reason, "generated_tokens": USAGE["output"], "seed": None}


def _token(text: str, special: bool = False) -> Json:
    return {"id": 1, "text": text, "logprob": -0.5, "special": special}


def _generated(model: str, request: Json) -> Json:
    answer: Json = {"generated_text": "".join(_parts(model, request))}
    if request["parameters"].get("details"):
        prefill = [_token("x")] * USAGE["input"]
        tokens = [_token(part) for part in _parts(model, request)]
        answer["details"] = {**_details(model), "prefill": prefill, "tokens": tokens}
    return answer


def _tokens(model: str, request: Json) -> Iterator[Json]:
    if model == "odd":
        yield {"index": None, "token": None}
        yield {"index": 1, "token": {"text": None}, "details": {}}
        return
    for index, part in enumerate(_parts(model, request)):
        yield {"index": index, "token": _token(part), "generated_text": None, "details": None}
    details = {**_details(model), "input_length": USAGE["input"]}
    text = "".join(_parts(model, request))
    yield {"index": len(CONTENT), "token": _token("</s>", True), "generated_text": text, "details": details}
