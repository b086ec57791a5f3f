"""Reading Gemini's interactions: what a model or an agent is asked, its steps, and the events of a stream."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from midspan_instrumentation.provider import Failure, Piece, Prompt, Reading, Request, Server, Usage
from midspan_instrumentation.providers import _gemini
from midspan_instrumentation.providers._addresses import server_at
from midspan_instrumentation.providers._fields import (
    Readers,
    field,
    fields_of,
    given_of,
    items,
    number,
    output_type,
    parsed,
    seconds,
    text,
    texts,
    whole,
)
from midspan_instrumentation.providers._messages import (
    Json,
    message,
    parts_of,
    text_part,
    tool_answer,
    tool_call,
    whole_call,
)

NAME = "gcp.gemini"
"""The provider of its jobs."""
_UNFINISHED = ("queued", "in_progress")
_FAILED = ("failed", "budget_exceeded")
_ASKED: Readers = {
    "agent": ("gen_ai.agent.id", text),
    "previous_interaction_id": ("gen_ai.conversation.id", text),
    "response_format": ("gen_ai.output.type", output_type),
    "temperature": ("gen_ai.request.temperature", number),
    "top_p": ("gen_ai.request.top_p", number),
    "seed": ("gen_ai.request.seed", whole),
    "stop_sequences": ("gen_ai.request.stop_sequences", texts),
    "thinking_level": ("gen_ai.request.reasoning.level", text),
}


def read_server(instance: object) -> Server:
    """The server that the resource was made for."""
    known: Any = getattr(instance, "sdk_configuration", None)
    if known is None:
        return Server()
    url, limit = known.get_server_details()[0], number(known.timeout_ms)
    return server_at(url, limit / 1000 if limit else None, "gcp.vertex_ai" if "aiplatform." in url else None)


def _asked(prepared: object) -> dict[str, object]:
    """What the SDK has made of the arguments of `interactions.create`: an object, or the fields of one."""
    body = field(field(prepared, "request"), "body")
    return {**fields_of(field(prepared, "body") if body is None else body)}


def read_request(prepared: object, call: object = None, *_: object, **_rest: object) -> Request:
    """A request of `interactions.create`, to a model or to an agent."""
    asked = _asked(prepared)
    config = fields_of(asked.get("generation_config"))
    return Request(
        model=text(asked.get("model")),
        stream=field(prepared, "stream") is True,
        max_tokens=whole(config.get("max_output_tokens")),
        timeout=seconds(field(call, "timeout")),
        attributes=given_of({**asked, **config}, _ASKED),
    )


def read_response(answer: object) -> Reading:
    """An `Interaction`, also in a raw response, or an event of a stream that has one: the first, which names it, and
    the last. One that is not finished is made in the background."""
    told = field(answer, "interaction") or parsed(answer)
    named, model, status = text(field(told, "id")), text(field(told, "model")), text(field(told, "status"))
    if named and status in _UNFINISHED:
        return Reading(id=named, model=model, goes_on_as=(NAME, named))
    return Reading(
        id=named,
        model=model,
        finish_reasons=(status,) if status else (),
        usage=read_usage(field(told, "usage")),
        failure=Failure(status) if status in _FAILED else None,
    )


def read_usage(told: object) -> Usage | None:
    """Thoughts are output, and what tools of the model's own have answered is input, as the total has them."""
    if told is None:
        return None
    counts = {name: whole(field(told, f"total_{name}_tokens")) for name in ("input", "tool_use", "output", "thought")}
    return Usage(
        input=_gemini.sum_of(counts["input"], counts["tool_use"]),
        output=_gemini.sum_of(counts["output"], counts["thought"]),
        reasoning=counts["thought"],
        cached=whole(field(told, "total_cached_tokens")),
    )


def read_event(event: Any) -> int | Reading:
    """A delta has the tokens that its text will be; the last event has the usage."""
    kind = getattr(event, "event_type", None)
    if kind == "step.delta":
        return _tokens(event.delta)
    if kind == "interaction.completed":
        return read_response(event)
    if kind == "error":
        error = field(event, "error")
        return Reading(failure=Failure(text(field(error, "code")) or "error", text(field(error, "message"))))
    return 0


def _tokens(delta: Any) -> int:
    try:
        return len(delta.text) // _gemini.CHARACTERS or 1
    except (AttributeError, TypeError):
        # Arguments of a tool, or thoughts; what is neither is no answer of the model's own.
        return int(text(field(delta, "type")) in ("arguments_delta", "thought_summary"))


def read_prompt(prepared: object, *_: object, **_rest: object) -> Prompt:
    """The input, what the model is told beside it, and its tools."""
    asked = _asked(prepared)
    told, put = text(asked.get("system_instruction")), asked.get("input")
    steps = items(put)
    return Prompt(
        messages=[_message(each) for each in steps] if _are_steps(steps) else [message("user", parts_of(put))],
        instructions=[] if told is None else [text_part(told)],
        tools=[_tool(each) for each in items(asked.get("tools"))],
    )


def _are_steps(given: Any) -> bool:
    """A list is one of steps, or of the contents of one."""
    return any(_kind(each) in ("user_input", "model_output", "function_call", "function_result") for each in given)


def _kind(step: object) -> str | None:
    return text(field(step, "type"))


def _message(step: object) -> Json:
    kind = _kind(step)
    if kind == "function_call":
        return message("assistant", [tool_call(field(step, "id"), field(step, "name"), field(step, "arguments"))])
    if kind == "function_result":
        return message("tool", [tool_answer(field(step, "call_id"), field(step, "result"))])
    return message("assistant" if kind == "model_output" else "user", parts_of(field(step, "content")))


def _tool(given: object) -> Json:
    return {name: field(given, name) for name in ("type", "name", "description", "parameters")}


def read_answer(answer: object) -> Iterator[Piece]:
    """The steps of an `Interaction`, also in a raw response."""
    for key, step in enumerate(items(field(parsed(answer), "steps"))):
        if _kind(step) == "function_call":
            yield whole_call(field(step, "id"), field(step, "name"), field(step, "arguments"))
        for part in items(field(step, "content")) if _kind(step) == "model_output" else ():
            yield Piece(text(field(part, "text")) or "", key=key)


def read_pieces(event: Any) -> Iterator[Piece]:
    """What is new in an event; a tool is named by the step that asks for it."""
    key, delta, step = whole(field(event, "index")) or 0, field(event, "delta"), field(event, "step")
    written, arguments = text(field(delta, "text")), text(field(delta, "arguments"))
    if written:
        yield Piece(written, key=key)
    if _kind(step) == "function_call":
        yield Piece("", "tool_call", key=key, id=text(field(step, "id")), name=text(field(step, "name")))
    if arguments:
        yield Piece(arguments, "tool_call", key=key)
