"""What is kept of a call's content is bounded, has the conventions' form, and holds nothing of the application's."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from midspan.core.content import MAX_CONTENT, Capture, Content, Piece, Prompt
from midspan.core.state import State
from midspan.core.text import MAX_MESSAGE
from midspan.testing import FakeClock
from midspan.tracking.instrumenting import CallTracker
from midspan.tracking.tracker import ProgressRegistry

PREVIEW = Capture(preview=True)


def message(text: str, role: str = "user") -> dict[str, Any]:
    return {"role": role, "parts": [{"type": "text", "content": text}]}


def asked(*texts: str) -> Prompt:
    return Prompt([message(text) for text in texts])


def content(*pieces: Piece, prompt: Prompt = Prompt(), capture: Capture = PREVIEW) -> Content:  # noqa: B008 - a value
    made = Content(capture, prompt)
    for piece in pieces:
        made.add(piece)
    return made


def parts(made: Content) -> list[dict[str, Any]]:
    (answer,) = made.attributes(("stop",))["gen_ai.output.messages"]
    return answer["parts"]


# --- preview and result ---------------------------------------------------------------------------


def test_until_the_answer_begins_the_preview_is_the_beginning_of_what_was_asked_last() -> None:
    made = content(prompt=asked("first", "x" * 600))
    assert made.preview() == "x" * (MAX_MESSAGE - 1) + "…"


def test_then_it_is_the_newest_end_of_the_answer() -> None:
    made = content(Piece("a" * 600), Piece("the end"), prompt=asked("hello"))
    preview = made.preview() or ""
    assert (len(preview), preview[:2], preview[-8:]) == (MAX_MESSAGE, "…a", "athe end")


def test_a_preview_has_no_control_and_no_bidirectional_characters() -> None:
    assert content(Piece("a\n\x1b[2J\u202eb")).preview() == "a  [2J b"


def test_a_secret_is_hidden_also_where_the_preview_begins() -> None:
    made = content(Piece("key sk-" + "a" * 40), Piece(" " + "b" * (MAX_MESSAGE - 20)))
    preview = made.preview() or ""
    assert "[hidden]" in preview
    assert "a" not in preview


def test_a_preview_is_of_the_first_choice_and_no_tools_arguments() -> None:
    made = content(Piece("one"), Piece("two", choice=1), Piece("{}", "tool_call", name="look"))
    assert made.preview() == "one"
    assert made.answer() == "one"


def test_reasoning_is_in_the_preview_and_not_in_the_result() -> None:
    made = content(Piece("hm ", "reasoning"), Piece("yes"))
    assert (made.preview(), made.answer()) == ("hm yes", "yes")


def test_without_the_switch_for_previews_there_is_neither() -> None:
    made = content(Piece("yes"), prompt=asked("well?"), capture=Capture(span=True))
    assert (made.preview(), made.answer()) == (None, None)


def test_a_prompt_without_text_has_no_preview() -> None:
    prompt = Prompt([{"role": "user", "parts": [{"type": "uri", "modality": "image", "uri": "https://x.example"}]}])
    assert content(prompt=prompt).preview() is None


# --- messages -------------------------------------------------------------------------------------


def test_pieces_of_one_part_are_joined_and_each_choice_is_a_message() -> None:
    made = content(Piece("b", choice=1), Piece("It "), Piece("works"), capture=Capture(span=True))
    assert made.attributes(("stop", "length"))["gen_ai.output.messages"] == [
        {"role": "assistant", "parts": [{"type": "text", "content": "It works"}], "finish_reason": "stop"},
        {"role": "assistant", "parts": [{"type": "text", "content": "b"}], "finish_reason": "length"},
    ]


def test_a_tool_call_is_put_together_from_its_pieces() -> None:
    made = content(
        Piece("", "tool_call", id="call_1", name="look"),
        Piece('{"at":', "tool_call"),
        Piece('"sea"}', "tool_call"),
        Piece("", "tool_call", key=1, id="call_2", name="listen"),
    )
    assert parts(made) == [
        {"type": "tool_call", "id": "call_1", "name": "look", "arguments": '{"at":"sea"}'},
        {"type": "tool_call", "id": "call_2", "name": "listen", "arguments": ""},
    ]


def test_what_was_not_said_is_left_out() -> None:
    assert content().attributes(()) == {}
    assert "finish_reason" not in content(Piece("x")).attributes(())["gen_ai.output.messages"][0]


def test_nothing_of_the_applications_is_held() -> None:
    messages = [message("before")]
    made = Content(PREVIEW, Prompt(messages))
    messages[0]["parts"][0]["content"] = "after"
    messages.clear()
    assert made.preview() == "before"


# --- limits ---------------------------------------------------------------------------------------


def size(messages: list[dict[str, Any]]) -> int:
    """Characters in all of their texts."""
    return sum(len(part["content"]) for each in messages for part in each["parts"])


def test_of_a_long_history_the_newest_messages_are_kept() -> None:
    made = content(prompt=asked(*(f"{number} " + "x" * 1000 for number in range(100))))
    kept = made.attributes(())["gen_ai.input.messages"]
    assert kept[-1]["parts"][0]["content"].startswith("99 ")
    assert size(kept) <= MAX_CONTENT
    assert all(each["role"] == "user" and "parts" in each for each in kept)
    assert made.is_cut


def test_of_a_long_answer_the_beginning_is_kept_and_the_preview_goes_on() -> None:
    made = content(Piece("begin "), *(Piece("x" * 100) for _ in range(1000)), Piece(" end"))
    answer = made.answer() or ""
    assert (answer[:7], len(answer) <= MAX_CONTENT, made.is_cut) == ("begin x", True, True)
    assert (made.preview() or "").endswith(" end")


def test_a_million_parts_take_no_more_room_than_one() -> None:
    made = Content(PREVIEW, Prompt())
    for key in range(100_000):
        made.add(Piece("", "tool_call", key=key, id="i" * 500))
    assert len(parts(made)) <= MAX_CONTENT / 8
    assert made.is_cut


def nested(depth: int) -> dict[str, Any]:
    return {"in": nested(depth - 1)} if depth else {}


@pytest.mark.parametrize(
    "odd",
    [
        {"role": "user", "parts": [{"type": "x", **{str(number): number for number in range(100_000)}}]},
        {"role": "user", "parts": [{"type": "x", "deep": nested(200)}]},
        {"role": "user", "parts": [{"type": "x", "list": [[[]]] * 100_000}]},
        {"role": "user", "parts": [{"type": "x", "object": object(), "number": 10**400, "bytes": b"x" * 100_000}]},
        {"role": "x" * 100_000, "parts": [{"type": "text", "content": "\ud800" * 10}]},
    ],
    ids=["many keys", "deep", "wide", "no JSON", "long and odd text"],
)
def test_odd_content_is_bounded_and_can_be_written(odd: dict[str, Any]) -> None:
    made = content(prompt=Prompt([odd]))
    assert len(msgspec.json.encode(made.attributes(()))) < 3 * MAX_CONTENT


# --- the operation --------------------------------------------------------------------------------


def test_an_operation_shows_the_preview_as_it_streams_and_keeps_the_answer_as_its_result(
    registry: ProgressRegistry, clock: FakeClock
) -> None:
    state = State("op", "llm_request", "chat", clock())
    call = CallTracker.of_call(registry, state)
    registry.add(state)
    made = Content(PREVIEW, asked("well?"))
    call.keep(made)
    seen = [call.get_progress_details().content_preview]
    for text in ("It", " works"):
        made.add(Piece(text))
        call.counts.singles += 1
        seen.append(call.get_progress_details().content_preview)
    call.complete()
    registry.settle()
    ended, handle = registry.get("op"), registry.get_tracker("op")
    assert handle is not None
    assert handle.get_progress_details() == ended
    assert seen == ["well?", "It", "It works"]
    assert ended is not None
    assert (ended.content_preview, ended.result) == ("It works", "It works")


def test_what_was_left_out_is_counted(registry: ProgressRegistry) -> None:
    tracker = registry.create_tracker()
    tracker.state.content = content(Piece("x" * 2 * MAX_CONTENT))
    tracker.complete()
    assert registry.statistics.suppressed["content"] == 1
