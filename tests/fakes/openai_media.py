"""OpenAI's wire format: images, sound and moderations."""

from __future__ import annotations

import json
from collections.abc import Iterator

from tests.fakes.serving import CONTENT, USAGE, Json

PARTIAL_IMAGES = 2


def is_media(path: str) -> bool:
    """True for what is answered here."""
    return any(part in path for part in ("/images/", "/audio/", "/moderations"))


def answer_of(path: str, request: Json) -> Json:
    """The whole answer to a request."""
    if path.endswith("/moderations"):
        return {"id": "modr-1", "model": f"{request['model']}-0001", "results": []}
    if "/images/" in path:
        return {"created": 1, "data": [{"b64_json": "aW1hZ2U="}], "usage": _usage()}
    details = {"audio_tokens": 0, "text_tokens": USAGE["input"]}
    return {"text": "".join(CONTENT), "usage": {**_usage(), "type": "tokens", "input_token_details": details}}


def events_of(path: str, request: Json) -> Iterator[str]:
    """The answer to a request for a stream, event by event."""
    for event in _images(path.rpartition("/")[2]) if "/images/" in path else _transcript():
        yield f"event: {event['type']}\ndata: {json.dumps(event, separators=(',', ':'))}\n\n"


def _usage() -> Json:
    return {
        "input_tokens": USAGE["input"],
        "output_tokens": USAGE["output"],
        "total_tokens": USAGE["input"] + USAGE["output"],
        "input_tokens_details": {"image_tokens": 0, "text_tokens": USAGE["input"]},
    }


def _images(made: str) -> Iterator[Json]:
    kind = "image_edit" if made == "edits" else "image_generation"
    image = {
        "b64_json": "aW1hZ2U=",
        "created_at": 1,
        "size": "1024x1024",
        "quality": "low",
        "background": "auto",
        "output_format": "png",
    }
    for index in range(PARTIAL_IMAGES):
        yield {"type": f"{kind}.partial_image", "partial_image_index": index, **image}
    yield {"type": f"{kind}.completed", **image, "usage": _usage()}


def _transcript() -> Iterator[Json]:
    for part in CONTENT:
        yield {"type": "transcript.text.delta", "delta": part}
    yield {"type": "transcript.text.done", "text": "".join(CONTENT), "usage": {**_usage(), "type": "tokens"}}
