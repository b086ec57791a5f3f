"""The decorators: `@track_progress`, `@track_llm_progress` and `@progress`.

Longer than its aim: each option is spelled out in the overloads, for type checkers and editors.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Mapping
from datetime import datetime
from typing import Any, ParamSpec, Protocol, TypeVar, cast, overload

from midspan.core.operation import OperationType
from midspan.tracking.arguments import number, text, whole
from midspan.tracking.run import Recipe, tracked
from midspan.tracking.tools import as_tool

F = TypeVar("F", bound=Callable[..., Any])
P = ParamSpec("P")
R = TypeVar("R")

LLM_PARAMETERS = (
    "temperature",
    "max_tokens",
    "top_p",
    "top_k",
    "seed",
    "frequency_penalty",
    "presence_penalty",
)
"""Arguments of an LLM function that are captured under their `gen_ai.request.*` names; a prompt is none of them."""


@overload
def track_progress(fn: F, /) -> F: ...
@overload
def track_progress(
    *,
    operation_type: str = ...,
    total_steps: int | None = ...,
    name: str | None = ...,
    deadline: float | datetime | None = ...,
    stall_after: float | None = ...,
    metadata: Mapping[str, Any] | None = ...,
) -> Callable[[F], F]: ...
def track_progress(
    fn: Callable[..., Any] | None = None,
    /,
    *,
    operation_type: str = OperationType.GENERAL,
    total_steps: int | None = None,
    name: str | None = None,
    deadline: float | datetime | None = None,
    stall_after: float | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Any:
    """Track every call of a function, coroutine, generator or async generator function (seed S0-20).

    Used bare or with arguments. Inside, `get_progress_tracker()` is the call's tracker. Returning completes the
    operation, raising fails it, being cancelled cancels it; result and exception pass through unchanged. `name` is the
    function's own by default; `deadline` (seconds from the call, or a datetime) and `stall_after` (seconds) are as in
    `ProgressTracker`. Raises TypeError for a wrong type, when decorating.
    """
    options = checked_options(total_steps, name, deadline, stall_after, metadata)

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        return tracked(function, _recipe(function, operation_type, name, total_steps, options))

    return _decorator(decorate) if fn is None else _decorator(decorate)(fn)


@overload
def track_llm_progress(fn: F, /) -> F: ...
@overload
def track_llm_progress(
    *,
    operation_type: str = ...,
    total_steps: int | None = ...,
    name: str | None = ...,
    deadline: float | datetime | None = ...,
    stall_after: float | None = ...,
    metadata: Mapping[str, Any] | None = ...,
) -> Callable[[F], F]: ...
def track_llm_progress(
    fn: Callable[..., Any] | None = None,
    /,
    *,
    operation_type: str = OperationType.LLM_REQUEST,
    total_steps: int | None = None,
    name: str | None = None,
    deadline: float | datetime | None = None,
    stall_after: float | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Any:
    """As `track_progress`, for functions that call an LLM (seed S0-21).

    The arguments (or their defaults) named `model` and `provider` become the operation's; those in `LLM_PARAMETERS`
    become metadata and `gen_ai.request.*` attributes of its span. Nothing else of the arguments is kept, but for a
    preview of `prompt` where the application has asked for content.
    """
    options = checked_options(total_steps, name, deadline, stall_after, metadata)

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        read = _llm_reader(function, options.get("metadata", {}))
        return tracked(function, _recipe(function, operation_type, name, total_steps, options, read))

    return _decorator(decorate) if fn is None else _decorator(decorate)(fn)


class ToolDecorator(Protocol):
    """What `progress(...)` with options is: it takes functions just as bare `progress` does."""

    @overload
    def __call__(self, fn: Callable[P, Generator[Any, Any, R]], /) -> Callable[P, R]: ...
    @overload
    def __call__(self, fn: Callable[P, AsyncGenerator[Any, Any]], /) -> Callable[P, Coroutine[Any, Any, Any]]: ...
    @overload
    def __call__(self, fn: F, /) -> F: ...


@overload
def progress(fn: Callable[P, Generator[Any, Any, R]], /) -> Callable[P, R]: ...
@overload
def progress(fn: Callable[P, AsyncGenerator[Any, Any]], /) -> Callable[P, Coroutine[Any, Any, Any]]: ...
@overload
def progress(fn: F, /) -> F: ...
@overload
def progress(
    *,
    operation_type: str = ...,
    name: str | None = ...,
    expect_children: int | Callable[..., int] = ...,
    deadline: float | datetime | None = ...,
    stall_after: float | None = ...,
    metadata: Mapping[str, Any] | None = ...,
) -> ToolDecorator: ...
def progress(
    fn: Callable[..., Any] | None = None,
    /,
    *,
    operation_type: str = OperationType.TOOL,
    name: str | None = None,
    expect_children: int | Callable[..., int] = 0,
    deadline: float | datetime | None = None,
    stall_after: float | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Any:
    """Make a generator that yields `{"progress": 0.5, "status": "…", …}` a plain function with progress (seed S4-01).

    Calling it runs the generator to its end and returns the generator's return value; each yielded dict updates the
    operation: `progress` (0 to 1, clamped), `status` (its message), and any other keys as data. What is not a dict is
    taken as a status. Name, signature and docstring are kept, so that any agent framework can take it as a tool. An
    async generator becomes a coroutine function, whose result is the last `"result"` that was yielded, because async
    generators cannot return one. Iterate the events with `ProgressStream`.

    Operations inside, such as nested `@progress` calls, count as parts of this one as long as it reports no progress
    of its own; `expect_children` (a number, or a function of the call's arguments) says how many there will be.
    """
    options = checked_options(None, name, deadline, stall_after, metadata)

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        read = _children_reader(expect_children)
        return as_tool(function, _recipe(function, operation_type, name, None, options, read))

    return _decorator(decorate) if fn is None else _decorator(decorate)(fn)


def _decorator(decorate: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Callable[[Any], Any]:
    """`decorate` for functions, and for the functions inside static and class methods."""

    def apply(fn: Any) -> Any:
        if isinstance(fn, (staticmethod, classmethod)):
            method = cast("staticmethod[..., Any]", fn)
            return type(method)(decorate(method.__func__))
        if not callable(fn):
            raise TypeError(f"this decorates functions, not {type(fn).__name__}; its options are keywords")
        return decorate(fn)

    return apply


def checked_options(
    total_steps: int | None,
    name: str | None,
    deadline: float | datetime | None,
    stall_after: float | None,
    metadata: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """The options of each call's tracker. Raises TypeError here, where the mistake is, not in the call."""
    if total_steps is not None:
        whole("total_steps", total_steps)
    if name is not None:
        text("name", name)
    if deadline is not None and not isinstance(deadline, datetime):
        number("deadline", deadline)
    if stall_after is not None:
        stall_after = number("stall_after", stall_after)
    return {"deadline": deadline, "stall_after": stall_after, "metadata": dict(metadata or {})}


def _recipe(
    fn: Callable[..., Any],
    operation_type: str,
    name: str | None,
    total_steps: int | None,
    options: Mapping[str, Any],
    read: Callable[..., Mapping[str, Any]] | None = None,
) -> Recipe:
    own_name = getattr(fn, "__name__", None) or type(fn).__name__
    return Recipe(text("operation_type", operation_type), name or own_name, total_steps, options, read)


def _children_reader(expected: int | Callable[..., int]) -> Callable[..., Mapping[str, Any]]:
    def read(*args: Any, **kwargs: Any) -> Mapping[str, Any]:
        count = expected(*args, **kwargs) if callable(expected) else expected
        return {"expect_children": whole("expect_children", count)}

    return read


def _llm_reader(fn: Callable[..., Any], metadata: Mapping[str, Any]) -> Callable[..., Mapping[str, Any]]:
    signature = inspect.signature(fn)

    def read(*args: Any, **kwargs: Any) -> Mapping[str, Any]:
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError:  # the call itself raises it in a moment
            return {}
        bound.apply_defaults()
        return _llm_options(_named(bound, signature), metadata)

    return read


def _named(bound: inspect.BoundArguments, signature: inspect.Signature) -> dict[str, Any]:
    """The arguments by name, those in `**kwargs` included."""
    found: dict[str, Any] = {}
    for name, value in bound.arguments.items():
        if signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD:
            found.update(value)
        else:
            found[name] = value
    return found


def _llm_options(given: Mapping[str, Any], metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    captured = {name: given[name] for name in LLM_PARAMETERS if isinstance(given.get(name), (int, float))}
    options: dict[str, Any] = {name: given[name] for name in ("model", "provider") if isinstance(given.get(name), str)}
    options["metadata"] = {**captured, **metadata}
    options["prompt"] = given.get("prompt")
    options["attributes"] = {f"gen_ai.request.{name}": value for name, value in captured.items()}
    return options
