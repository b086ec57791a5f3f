"""Cohere's wire format, of both versions of its API: v1 streams lines of JSON, v2 streams events."""

from __future__ import annotations

import json
from collections.abc import Iterator

from tests.fakes.serving import CONTENT, USAGE, FakeServer, Json, Wire


class CohereWire(Wire):
    """What Cohere's API says."""

    def answer(self, path: str, request: Json) -> Json:
        return _ANSWERS[path](request)

    def events(self, path: str, request: Json) -> Iterator[str | bytes]:
        if path == "/v2/chat":
            for event in _events(request):
                yield f"event: {event['type']}\ndata: {json.dumps(event)}\n\n"
            return
        for event in _lines(request) if path == "/v1/chat" else _generating(request):
            yield f"{json.dumps(event)}\n"

    def is_token(self, event: str | bytes) -> bool:
        text = str(event)
        is_delta = '"content-delta"' in text or '"text-generation"' in text
        return is_delta and any(json.dumps(part) in text for part in CONTENT)

    def error(self, message: str, kind: str) -> Json:
        return {"id": "err_1", "message": message}

    def prompt(self, path: str, request: Json) -> str:
        return _prompt(request)


class FakeCohere(FakeServer):
    """A server that speaks it."""

    def __init__(self) -> None:
        super().__init__(CohereWire())


def _prompt(request: Json) -> str:
    asked = request.get("messages") or request.get("message") or request.get("prompt")
    return asked if isinstance(asked, str) else asked[-1]["content"]


def _parts(request: Json) -> tuple[str, ...]:
    return ("You said: ", _prompt(request)) if request["model"] == "parrot" else CONTENT


def _finish(request: Json) -> str:
    return {"limited": "MAX_TOKENS", "failing": "ERROR"}.get(request["model"], "COMPLETE")


def _usage() -> Json:
    """The numbers are fractions."""
    tokens = {"input_tokens": float(USAGE["input"]), "output_tokens": float(USAGE["output"])}
    return {"tokens": tokens, "billed_units": {"input_tokens": 5.0, "output_tokens": 2.0}, "cached_tokens": 2.0}


def _meta() -> Json:
    return {"api_version": {"version": "1"}, **_usage()}


def _billed(**units: float) -> Json:
    return {"api_version": {"version": "1"}, "billed_units": units}


# v2.


def _chat(request: Json) -> Json:
    message = {"role": "assistant", "content": [{"type": "text", "text": "".join(_parts(request))}]}
    return {"id": "gen-1", "finish_reason": _finish(request), "message": message, "usage": _usage()}


def _events(request: Json) -> Iterator[Json]:
    yield {"type": "message-start", "id": "gen-1", "delta": {"message": {"role": "assistant", "content": []}}}
    yield _content("content-start", {"type": "text", "text": ""})
    for part in () if request["model"] == "failing" else _parts(request):
        yield _content("content-delta", {"text": part})
    yield {"type": "content-end", "index": 0}
    error = {"error": "overloaded"} if request["model"] == "failing" else {}
    yield {"type": "message-end", "delta": {"finish_reason": _finish(request), "usage": _usage(), **error}}


def _content(kind: str, content: Json) -> Json:
    return {"type": kind, "index": 0, "delta": {"message": {"content": content}}}


def _embed(request: Json) -> Json:
    embeddings = {"float": [[0.5, 0.25] for _ in request["texts"]]}
    return {"id": "emb-1", "embeddings": embeddings, "texts": request["texts"], "meta": _billed(input_tokens=7.0)}


def _parse(request: Json) -> Json:
    page = {"type": "markdown", "index": 0, "markdown": {"content": "".join(CONTENT)}}
    return {"id": "parse-1", "pages": [page], "meta": _meta(), "finish_reason": _finish(request)}


def _transcribe(_request: Json) -> Json:
    return {"text": "".join(CONTENT)}


def _rerank(request: Json) -> Json:
    results = [{"index": index, "relevance_score": 0.5} for index, _ in enumerate(request["documents"])]
    return {"id": "rank-1", "results": results, "meta": _billed(search_units=1.0)}


# v1.


def _chat_v1(request: Json) -> Json:
    return {
        "response_id": "resp-1",
        "generation_id": "gen-1",
        "text": "".join(_parts(request)),
        "chat_history": [],
        "finish_reason": _finish(request),
        "meta": _meta(),
    }


def _lines(request: Json) -> Iterator[Json]:
    yield {"is_finished": False, "event_type": "stream-start", "generation_id": "gen-1"}
    for part in () if request["model"] == "failing" else _parts(request):
        yield {"is_finished": False, "event_type": "text-generation", "text": part}
    whole = _chat_v1(request)
    yield {"is_finished": True, "event_type": "stream-end", "response": whole, "finish_reason": whole["finish_reason"]}


def _generate(request: Json) -> Json:
    generation = {"id": "gen-1", "text": "".join(_parts(request)), "finish_reason": _finish(request)}
    return {"id": "gens-1", "prompt": request["prompt"], "generations": [generation], "meta": _meta()}


def _generating(request: Json) -> Iterator[Json]:
    if request["model"] == "failing":
        yield {"is_finished": True, "event_type": "stream-error", "finish_reason": "ERROR", "err": "overloaded"}
        return
    for part in _parts(request):
        yield {"is_finished": False, "event_type": "text-generation", "text": part}
    reason, whole = _finish(request), {"id": "gens-1", "prompt": request["prompt"], "generations": []}
    yield {"is_finished": True, "event_type": "stream-end", "finish_reason": reason, "response": whole}


def _embed_v1(request: Json) -> Json:
    embeddings = [[0.5, 0.25] for _ in request["texts"]]
    return {**_embed(request), "response_type": "embeddings_floats", "embeddings": embeddings}


def _classify(request: Json) -> Json:
    found = {"id": "class-1", "prediction": "spam", "predictions": ["spam"], "confidence": 0.9, "confidences": [0.9]}
    labels = {"spam": {"confidence": 0.9}}
    each = {**found, "classification_type": "single-label", "labels": labels}
    results = [{**each, "input": asked} for asked in request["inputs"]]
    return {"id": "classify-1", "classifications": results, "meta": _billed(classifications=1.0)}


_ANSWERS = {
    "/v2/chat": _chat,
    "/v2/embed": _embed,
    "/v2/rerank": _rerank,
    "/v2/parse": _parse,
    "/v2/audio/transcriptions": _transcribe,
    "/v1/chat": _chat_v1,
    "/v1/generate": _generate,
    "/v1/embed": _embed_v1,
    "/v1/rerank": _rerank,
    "/v1/classify": _classify,
}
