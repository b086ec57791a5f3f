"""Reading OpenAI's responses: one answer of many items, and a stream of typed events."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from midspan_instrumentation.provider import Failure, Reading, Request
from midspan_instrumentation.providers._chat_completions import read_usage
from midspan_instrumentation.providers._fields import (
    field,
    given,
    number,
    output_type,
    own,
    parsed,
    seconds,
    text,
    whole,
)

if TYPE_CHECKING:
    from openai.types.responses import Response, ResponseStreamEvent


_UNFINISHED = ("queued", "in_progress")


def read_request(
    *_: object,
    model: object = None,
    stream: object = None,
    max_output_tokens: object = None,
    temperature: object = None,
    top_p: object = None,
    text_format: object = None,
    reasoning: object = None,
    conversation: object = None,
    timeout: object = None,
    **more: object,
) -> Request:
    """`responses.create` and `.parse`."""
    form = field(more.get("text"), "format") if text_format is None else text_format
    return Request(
        model=text(model),
        stream=stream is True,
        max_tokens=whole(max_output_tokens),
        timeout=seconds(timeout),
        attributes=given(
            {
                "gen_ai.request.temperature": number(temperature),
                "gen_ai.request.top_p": number(top_p),
                "gen_ai.request.reasoning.level": text(field(reasoning, "effort")),
                "gen_ai.output.type": None if form is None else output_type(form),
                "gen_ai.conversation.id": text(conversation) or text(field(conversation, "id")),
            }
        ),
    )


def read_response(result: object) -> Reading:
    """A `Response`, or the first event of a stream, which carries one."""
    response = response_of(result)
    if own(response, "background") is True and text(response.status) in _UNFINISHED:
        return Reading(id=text(response.id), model=text(response.model), goes_on_as=("openai", response.id))
    return Reading(
        id=text(getattr(response, "id", None)),
        model=text(getattr(response, "model", None)),
        finish_reasons=_reasons(response),
        usage=read_usage(getattr(response, "usage", None), "input", "output"),
        # Or what an SDK has for nothing, which is false.
        failure=_failure(getattr(response, "error", None) or None),
    )


def response_of(result: object) -> Response:
    """The response that a result or an event carries."""
    return cast("Response", own(result, "response") or parsed(result))


def _reasons(response: Response) -> tuple[str, ...]:
    details = getattr(response, "incomplete_details", None)
    reason = text(getattr(details, "reason", None)) or text(getattr(response, "status", None))
    return (reason,) if reason else ()


def _failure(error: object) -> Failure | None:
    if error is None:
        return None
    return Failure(
        type=text(getattr(error, "code", None)) or "error",
        message=text(getattr(error, "message", None)),
    )


def read_event(event: ResponseStreamEvent) -> int | Reading:
    """Each delta is one token; the last event carries the response."""
    kind = text(getattr(event, "type", None)) or ""
    if kind.endswith(".delta"):
        return 1
    if kind in ("response.completed", "response.incomplete", "response.failed"):
        return read_response(event)
    return Reading(failure=_failure(event)) if kind == "error" else 0
