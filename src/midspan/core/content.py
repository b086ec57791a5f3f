"""What a call was asked and has answered, where somebody has asked for that to be kept. It is off by default.

Messages have the form of the GenAI conventions (`gen_ai.input.messages` and its relatives), as plain JSON values.
Everything is bounded: of what was asked the newest is kept, of an answer its beginning, and of a preview the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from msgspec import Struct

from midspan.core import names
from midspan.core.bounds import MAX_COUNT
from midspan.core.secrets import MAX_SECRET
from midspan.core.text import MAX_MESSAGE, MAX_NAME, clean, described

MAX_CONTENT: Final = 16_384
"""Characters of what was asked, and as many of what was answered: a batch of 512 spans has to fit into 4 MiB or so."""
ITEM_COST: Final = 8
CREDIT: Final = 2_048
MAX_DEPTH: Final = 12

_END: Final = MAX_MESSAGE + MAX_SECRET  # so that a secret at the edge is seen as a whole

Json = dict[str, Any]


class Capture(Struct, frozen=True):
    """Where content goes: `preview` and result of the operation, messages on its own `span`, or on an `event`."""

    preview: bool = False
    span: bool = False
    event: bool = False


NO_CAPTURE: Final = Capture()


class Prompt(Struct, frozen=True):
    """What a call asks: its messages, what is told apart from them, and the tools that the model may ask for."""

    messages: Sequence[Json] = ()
    instructions: Sequence[Json] = ()
    tools: Sequence[Json] = ()


class Piece(Struct, frozen=True):
    """A piece of an answer: of the part `key` of its kind, in the choice with this number.

    `kind` is `text`, `reasoning`, `tool_call` (the text is of its arguments, `id` and `name` are the call's) or any
    other type of part.
    """

    text: str
    kind: str = "text"
    choice: int = 0
    key: int = 0
    id: str | None = None
    name: str | None = None


class Room:
    """So many characters may still be kept; `is_full` tells that something was left out."""

    __slots__ = ("is_full", "left")

    def __init__(self, left: int) -> None:
        self.left = left
        self.is_full = False

    def text(self, value: str) -> str:
        """As much of a text as there is room for, without what no UTF-8 can hold."""
        kept = value[: self.left] if self.left > 0 else ""
        self.left -= len(kept)
        if len(kept) < len(value):
            self.is_full = True
        return kept if kept.isascii() else kept.encode("utf-8", "replace").decode()

    def value(self, value: object, depth: int = 0) -> Any:
        """A copy of a JSON value as far as there is room, so that nothing of the application's is held."""
        if isinstance(value, str):
            return self.text(value)
        if value is None or isinstance(value, (bool, float)) or (isinstance(value, int) and abs(value) <= MAX_COUNT):
            return value
        if depth < MAX_DEPTH and isinstance(value, Mapping):
            found = cast("Mapping[object, object]", value)
            return {
                clean(str(key), MAX_NAME): self.value(each, depth + 1) for key, each in found.items() if self._has_key()
            }
        if depth < MAX_DEPTH and isinstance(value, (list, tuple)):
            return [self.value(each, depth + 1) for each in cast("Sequence[object]", value) if self.has_item()]
        return self.text(described(value))

    def newest(self, values: Sequence[object]) -> list[Any]:
        """As `value`, for a list of which the last items count most."""
        return [self.value(each) for each in reversed(values) if self.has_item()][::-1]

    def has_item(self) -> bool:
        """Take the room that an item costs beside its text; False when there is none."""
        self.left -= ITEM_COST
        if self.left > 0:
            return True
        self.is_full = True
        return False

    def _has_key(self) -> bool:
        """As `has_item`, with some credit: an item that was begun is written to its end, or its form would be lost."""
        self.left -= ITEM_COST
        return self.left > -CREDIT


class _Part:
    __slots__ = ("id", "kind", "name", "texts")

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.id: str | None = None
        self.name: str | None = None
        self.texts: list[str] = []

    def as_json(self) -> Json:
        """The part in the conventions' form."""
        text = "".join(self.texts)
        if self.kind == "tool_call":
            return {"type": self.kind, "id": self.id, "name": self.name or "", "arguments": text}
        return {"type": self.kind, "content": text}


class Content:
    """The content of one call: its prompt, and the pieces of its answer as they come, added by one thread."""

    __slots__ = ("_asked", "_end", "_parts", "_room", "capture", "prompt")

    def __init__(self, capture: Capture, prompt: Prompt) -> None:
        self.capture = capture
        self._asked = Room(MAX_CONTENT)
        instructions = self._asked.value(prompt.instructions)
        messages = self._asked.newest(prompt.messages)
        self.prompt = Prompt(messages, instructions, self._asked.newest(prompt.tools))
        self._room = Room(MAX_CONTENT)
        self._parts: dict[tuple[int, str, int], _Part] = {}
        self._end = ""

    @property
    def is_cut(self) -> bool:
        """True when there was more than is kept."""
        return self._asked.is_full or self._room.is_full

    def add(self, piece: Piece) -> None:
        """A further piece of the answer is there."""
        if piece.choice == 0 and piece.kind != "tool_call":
            self._end = (self._end + piece.text)[-_END:]
        part = self._part(piece)
        if part is None:
            return
        part.id, part.name = part.id or _short(piece.id), part.name or _short(piece.name)
        kept = self._room.text(piece.text)
        if kept:
            part.texts.append(kept)

    def _part(self, piece: Piece) -> _Part | None:
        """The part that it belongs to; None when there is no room for a new one."""
        place = piece.choice, piece.kind, piece.key
        part = self._parts.get(place)
        if part is None and self._room.has_item():
            part = self._parts[place] = _Part(piece.kind)
        return part

    def preview(self) -> str | None:
        """The end of what has been answered; before its first word, the beginning of what was asked last."""
        if not self.capture.preview:
            return None
        if not self._end:
            return clean(_asked_last(self.prompt.messages)) or None
        end = clean(self._end, _END)
        return end if len(end) <= MAX_MESSAGE else "…" + end[1 - MAX_MESSAGE :]

    def answer(self) -> str | None:
        """The text of the answer, of the first choice; None without one, and where results are not asked for."""
        texts = [part.as_json()["content"] for place, part in self._parts.items() if place[:2] == (0, "text")]
        return "".join(texts) or None if self.capture.preview else None

    def attributes(self, finish_reasons: Sequence[str]) -> dict[str, list[Json]]:
        """What the conventions' attributes hold; `finish_reasons` are those of the choices."""
        found = {
            names.GEN_AI_INSTRUCTIONS: self.prompt.instructions,
            names.GEN_AI_INPUT_MESSAGES: self.prompt.messages,
            names.GEN_AI_OUTPUT_MESSAGES: self._answers(finish_reasons),
            names.GEN_AI_TOOL_DEFINITIONS: self.prompt.tools,
        }
        return {name: [*values] for name, values in found.items() if values}

    def _answers(self, finish_reasons: Sequence[str]) -> list[Json]:
        answers: dict[int, Json] = {}
        for (choice, _, _), part in [*self._parts.items()]:
            answer = answers.setdefault(choice, {"role": "assistant", "parts": []})
            answer["parts"].append(part.as_json())
        for (_, answer), reason in zip(sorted(answers.items()), finish_reasons, strict=False):
            answer["finish_reason"] = reason
        return [answer for _, answer in sorted(answers.items())]


def _short(name: str | None) -> str | None:
    return None if name is None else clean(name, MAX_NAME)


def _asked_last(messages: Sequence[Json]) -> str:
    """The text of the last message that has one."""
    for message in reversed(messages):
        texts = [str(part.get("content")) for part in message.get("parts", ()) if part.get("type") == "text"]
        if texts:
            return " ".join(texts)
    return ""
