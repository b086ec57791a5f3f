"""Reading images, as OpenAI's API makes and edits them: each partial image is a step. The images are not read."""

from __future__ import annotations

from midspan_instrumentation.provider import Reading, Request, replace
from midspan_instrumentation.providers._chat_completions import read_usage
from midspan_instrumentation.providers._fields import parsed, seconds, text, whole


def read_request(
    *_: object,
    model: object = None,
    stream: object = None,
    n: object = None,
    partial_images: object = None,
    timeout: object = None,
    **_rest: object,
) -> Request:
    """`images.generate`, `.edit` and `.create_variation`. The whole image is the step after the partial ones."""
    count, partial = whole(n), whole(partial_images) or 0
    return Request(
        model=text(model),
        stream=stream is True,
        timeout=seconds(timeout),
        steps=partial + 1 if partial and stream is True else 0,
        attributes={} if count in (None, 1) else {"gen_ai.request.choice.count": count},
    )


def read_response(result: object) -> Reading:
    """An `ImagesResponse`, or the last event of a stream."""
    return Reading(usage=read_usage(getattr(parsed(result), "usage", None), "input", "output"))


def read_event(event: object) -> int | Reading:
    """An event: a partial image, or the whole one."""
    kind = text(getattr(event, "type", None)) or ""
    if kind.endswith(".partial_image"):
        index = whole(getattr(event, "partial_image_index", None))
        return 0 if index is None else Reading(step=index + 1)
    return replace(read_response(event), is_last=True) if kind.endswith(".completed") else 0
