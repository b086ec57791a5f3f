"""Reading moderations, as OpenAI's API has them."""

from __future__ import annotations

from midspan_instrumentation.provider import Prompt, Reading, Request
from midspan_instrumentation.providers._fields import items, parsed, seconds, text
from midspan_instrumentation.providers._messages import message, parts_of


def read_request(*_: object, model: object = None, timeout: object = None, **_rest: object) -> Request:
    """`moderations.create`."""
    return Request(model=text(model), timeout=seconds(timeout))


def read_response(result: object) -> Reading:
    """A `ModerationCreateResponse`."""
    response = parsed(result)
    return Reading(id=text(getattr(response, "id", None)), model=text(getattr(response, "model", None)))


def read_prompt(
    *_: object,
    input: object = None,  # noqa: A002 - the SDK's word
    **_rest: object,
) -> Prompt:
    """What is to be judged: a text, several, or parts of a message."""
    asked = [input] if isinstance(input, str) else items(input)
    return Prompt(messages=[message("user", parts_of([each])) for each in asked])
