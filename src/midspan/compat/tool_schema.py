"""A Python function as a tool of a chat model: its schema, and the model's arguments as Python values."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import msgspec

from midspan.tracking.parameters import ArgumentError, Parameters


class Tool:
    """A function with the JSON schema that its signature and docstring give."""

    def __init__(self, function: Callable[..., Any]) -> None:
        if not callable(function):
            raise TypeError(f"a tool must be a function, not {type(function).__name__}")
        self.function = function
        self.name: str = getattr(function, "__name__", type(function).__name__)
        self._parameters = Parameters(function)
        self.schema = self._schema()

    def _schema(self) -> dict[str, Any]:
        function: dict[str, Any] = {"name": self.name, "parameters": self._parameters.schema()}
        description = inspect.getdoc(self.function)
        if description:
            function["description"] = description
        return {"type": "function", "function": function}

    def arguments(self, given: str) -> dict[str, Any]:
        """The model's JSON arguments as keyword arguments of the right types. Raises ArgumentError."""
        try:
            values = msgspec.json.decode(given or "{}", type=dict[str, Any])
            return self._parameters.convert(values)
        except (msgspec.MsgspecError, ArgumentError) as error:
            raise ArgumentError(f"bad arguments for {self.name}: {error}") from error
