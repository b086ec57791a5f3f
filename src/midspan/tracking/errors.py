"""What is kept of an exception: its type, and of its text what can be no content.

The text of an error that a server has answered with is the server's, and may repeat the prompt. Unless the application
has asked for content, such an error is told by its status and its codes; any other one by its first line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

from midspan.core.operation import ErrorInfo
from midspan.core.text import MAX_NAME, clean, described

_ANSWERS: Final = ("response", "body", "status_code")
"""Attributes of the exceptions that SDKs and HTTP clients raise for an answer."""
_CODE: Final = r"[A-Za-z][A-Za-z0-9_.-]{0,63}"
_MAX_CHAIN: Final = 8


def error_info(error: BaseException | str, in_full: bool = False) -> ErrorInfo:
    """`error.type` as the conventions want it (module and qualified name, builtins bare), and the message.

    `in_full` tells that content may be kept: then the message is the first line, whoever has written it.
    """
    if not isinstance(error, BaseException):
        return ErrorInfo(type="error", message=clean(described(error)))
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    text = _printed(error)
    source = None if in_full else _answer_in(error, text)
    if source is not None:
        return ErrorInfo(type=clean(name, MAX_NAME), message=" ".join(_codes(source)) or None)
    lines = text.splitlines()
    return ErrorInfo(type=clean(name, MAX_NAME), message=clean(lines[0]) if lines else None)


def _printed(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # the application's own
        return ""


def _answer_in(error: BaseException, text: str) -> BaseException | None:
    """The exception for a server's answer whose text this is, or which this one repeats; None when it is no such."""
    if _has_answer(error):
        return error
    for other in _before(error):
        if _has_answer(other) and any(told and told in text for told in (_printed(other), _held(other, "message"))):
            return other
    return None


def _before(error: BaseException) -> Iterator[BaseException]:
    """The exceptions that it was raised from, or while which were handled."""
    other = error.__cause__ or error.__context__
    for _ in range(_MAX_CHAIN):
        if other is None:
            return
        yield other
        other = other.__cause__ or other.__context__


def _has_answer(error: BaseException) -> bool:
    return any(_held(error, name) is not None for name in _ANSWERS)


def _held(holder: object, name: str) -> Any:
    """A value of a mapping or of an object; None for a property that raises."""
    try:
        if isinstance(holder, Mapping):
            return cast("Mapping[str, object]", holder).get(name)
        return getattr(holder, name, None)
    except Exception:  # the application's own
        return None


def _codes(error: BaseException) -> list[str]:
    """The status, the type and the code of an answer, each once: words of the server's own vocabulary."""
    response, body = _held(error, "response"), _held(error, "body")
    metadata = _held(response, "ResponseMetadata")
    statuses = _held(error, "status_code"), _held(error, "code"), _held(response, "status_code")
    status = next((each for each in (*statuses, _held(metadata, "HTTPStatusCode")) if _is_status(each)), None)
    holders = error, body, _held(body, "error"), _held(response, "Error")
    words = [_held(holder, name) for holder in holders for name in ("type", "status", "code", "Code")]
    # Anthropic's errors say beside their own type that they are one.
    codes = [word for word in words if isinstance(word, str) and word != "error" and re.fullmatch(_CODE, word)]
    return [*([] if status is None else [str(status)]), *dict.fromkeys(codes)]


def _is_status(code: object) -> bool:
    """False for the -1 of an error that was told inside a stream, after the status."""
    return type(code) is int and code > 0
