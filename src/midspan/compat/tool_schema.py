"""A Python function as a tool of a chat model: its schema, and the model's arguments as Python values."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable
from typing import Any

import msgspec


class ArgumentError(ValueError):
    """The model's arguments do not fit the function; the message says how."""


class Tool:
    """A function with the JSON schema that its signature and docstring give."""

    def __init__(self, function: Callable[..., Any]) -> None:
        if not callable(function):
            raise TypeError(f"a tool must be a function, not {type(function).__name__}")
        self.function = function
        self.name: str = getattr(function, "__name__", type(function).__name__)
        self._parameters = inspect.signature(function).parameters
        self._types = _types(function)
        self.schema = self._schema()

    def _schema(self) -> dict[str, Any]:
        named = [p for p in self._parameters.values() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        parameters = {
            "type": "object",
            "properties": {p.name: _json_schema(self._types.get(p.name, Any)) for p in named},
            "required": [p.name for p in named if p.default is p.empty],
        }
        function: dict[str, Any] = {"name": self.name, "parameters": parameters}
        description = inspect.getdoc(self.function)
        if description:
            function["description"] = description
        return {"type": "function", "function": function}

    def arguments(self, given: str) -> dict[str, Any]:
        """The model's JSON arguments as keyword arguments of the right types. Raises ArgumentError."""
        try:
            values = msgspec.json.decode(given or "{}", type=dict[str, Any])
            converted = {name: self._convert(name, value) for name, value in values.items()}
            inspect.signature(self.function).bind(**converted)
        except (msgspec.MsgspecError, TypeError) as error:
            raise ArgumentError(f"bad arguments for {self.name}: {error}") from error
        return converted

    def _convert(self, name: str, value: Any) -> Any:
        try:
            return msgspec.convert(value, self._types.get(name, Any), strict=False)
        except msgspec.ValidationError as error:
            raise msgspec.ValidationError(f"{name}: {error}") from None
        except TypeError:  # a type that has no JSON form: the function gets what there is
            return value


def _types(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function)
    except (NameError, TypeError):  # names that exist for type checkers only, or no function at all
        return {}


def _json_schema(kind: Any) -> dict[str, Any]:
    try:
        return msgspec.json.schema(kind)
    except (TypeError, RuntimeError):  # a type that has no JSON form
        return {}
