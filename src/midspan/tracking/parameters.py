"""A function's parameters: their JSON schema, and JSON values as the Python values that the function takes."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

_VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class ArgumentError(ValueError):
    """Arguments do not fit the function; the message says how, `parameter` names which."""

    def __init__(self, message: str, parameter: str | None = None) -> None:
        super().__init__(message)
        self.parameter = parameter


class Parameters:
    """What a function can be called with by name. Raises TypeError for one with positional-only parameters."""

    def __init__(self, function: Callable[..., Any]) -> None:
        parameters = inspect.signature(function).parameters.values()
        for parameter in parameters:
            if parameter.kind is parameter.POSITIONAL_ONLY:
                raise TypeError(f"parameter {parameter.name!r} is positional-only, and cannot be given by name")
        self._named = {p.name: p for p in parameters if p.kind not in _VARIABLE}
        self._open = any(p.kind is p.VAR_KEYWORD for p in parameters)
        self._types = _types(function)

    def schema(self) -> dict[str, Any]:
        """The JSON schema (an object) of the arguments: types, defaults, which ones are required."""
        definitions: dict[str, Any] = {}
        schema: dict[str, Any] = {
            "type": "object",
            "properties": {p.name: self._schema_of(p, definitions) for p in self._named.values()},
            "required": [p.name for p in self._named.values() if p.default is p.empty],
        }
        if definitions:
            schema["$defs"] = definitions
        return schema

    def _schema_of(self, parameter: inspect.Parameter, definitions: dict[str, Any]) -> dict[str, Any]:
        schema, found = _json_schema(self._types.get(parameter.name, Any))
        definitions.update(found)
        return {**schema, **_default(parameter)}

    def takes(self, name: str) -> bool:
        """Whether there is a parameter of this name."""
        return name in self._named

    def convert(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """JSON values as keyword arguments of the right types. Raises ArgumentError naming the first that is wrong."""
        for name in given:
            if name not in self._named and not self._open:
                known = ", ".join(self._named) or "none"
                raise ArgumentError(f"there is no parameter {name!r}; there are: {known}", name)
        for name, parameter in self._named.items():
            if parameter.default is parameter.empty and name not in given:
                raise ArgumentError(f"parameter {name!r} is missing", name)
        return {name: self._value(name, value) for name, value in given.items()}

    def _value(self, name: str, value: Any) -> Any:
        try:
            return msgspec.convert(value, self._types.get(name, Any), strict=False)
        except msgspec.ValidationError as error:
            raise ArgumentError(f"{name}: {error}", name) from None


def _default(parameter: inspect.Parameter) -> dict[str, Any]:
    if parameter.default is parameter.empty:
        return {}
    try:
        return {"default": msgspec.to_builtins(parameter.default)}
    except TypeError:  # a default that has no JSON form
        return {}


def _types(function: Callable[..., Any]) -> dict[str, Any]:
    """The types by parameter; one that JSON has no form for is left out, and the function gets what there is."""
    try:
        hints = typing.get_type_hints(function)
    except (NameError, TypeError):  # names that exist for type checkers only, or no function at all
        return {}
    return {name: kind for name, kind in hints.items() if _has_json_form(kind)}


def _has_json_form(kind: Any) -> bool:
    try:
        _json_schema(kind)
    except (TypeError, RuntimeError):
        return False
    return True


def _json_schema(kind: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The schema of a type, and the definitions that it refers to."""
    (schema,), definitions = msgspec.json.schema_components([kind], ref_template="#/$defs/{name}")
    return schema, definitions
