"""What a function takes, as a JSON schema; and JSON values as what it takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import pytest

from midspan.tracking.parameters import ArgumentError, Parameters


@dataclass
class Page:
    number: int
    title: str = "untitled"


class Opaque:
    """A type that JSON has no form for."""


def every_kind(page: Page, mode: Literal["fast", "deep"] = "fast", *, sizes: list[int] | None = None) -> None: ...


def opaque(thing: Opaque, default: Any = Opaque()) -> None: ...  # noqa: B008 - a default that no JSON can show


def open_ended(*args: int, n: int = 0, **more: Any) -> None: ...


def unannotated(a, b=2):  # type: ignore[no-untyped-def]
    return a, b


def test_the_schema_has_types_defaults_what_is_required_and_definitions_that_can_be_found() -> None:
    schema = Parameters(every_kind).schema()
    assert schema["required"] == ["page"]
    assert schema["properties"]["page"] == {"$ref": "#/$defs/Page"}
    assert schema["$defs"]["Page"]["required"] == ["number"]
    assert schema["properties"]["mode"] == {"enum": ["deep", "fast"], "default": "fast"}
    assert schema["properties"]["sizes"]["default"] is None


def test_a_type_that_json_has_no_form_for_is_anything() -> None:
    assert Parameters(opaque).schema()["properties"] == {"thing": {}, "default": {}}
    assert Parameters(opaque).convert({"thing": {"a": 1}}) == {"thing": {"a": 1}}
    assert Parameters(unannotated).schema()["properties"] == {"a": {}, "b": {"default": 2}}


def test_values_become_what_the_function_takes() -> None:
    converted = Parameters(every_kind).convert({"page": {"number": "7"}, "sizes": [1]})
    assert converted == {"page": Page(7), "sizes": [1]}


def test_more_is_taken_only_by_what_takes_anything() -> None:
    parameters = Parameters(open_ended)
    assert parameters.convert({"n": 1, "other": "x"}) == {"n": 1, "other": "x"}
    assert parameters.takes("n") and not parameters.takes("args")
    assert list(parameters.schema()["properties"]) == ["n"]


@pytest.mark.parametrize(
    ("given", "parameter", "said"),
    [
        ({}, "page", "parameter 'page' is missing"),
        ({"page": {"number": "x"}}, "page", "page: Expected `int`, got `str` - at `$.number`"),
        ({"page": {"number": 1}, "mode": "slow"}, "mode", "mode: Invalid enum value 'slow'"),
        ({"page": {"number": 1}, "size": 1}, "size", "there is no parameter 'size'; there are: page, mode, sizes"),
    ],
)
def test_what_does_not_fit_names_the_parameter(given: dict[str, Any], parameter: str, said: str) -> None:
    with pytest.raises(ArgumentError) as told:
        Parameters(every_kind).convert(given)
    assert (told.value.parameter, str(told.value)) == (parameter, said)
