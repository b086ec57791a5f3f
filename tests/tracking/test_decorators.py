"""`@track_progress` and `@track_llm_progress` on functions and coroutines."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Iterator

import pytest
from opentelemetry.instrumentation.utils import suppress_instrumentation

from midspan.core import failures
from midspan.models import Operation, OperationType, Status
from midspan.tracking.decorators import progress, track_llm_progress, track_progress
from midspan.tracking.switches import disabled
from midspan.tracking.tracker import ProgressTracker, get_progress_registry, get_progress_tracker


def only() -> Operation:
    (operation,) = get_progress_registry().operations()
    return operation


def test_a_bare_decorated_function_is_tracked_and_returns_its_value() -> None:
    marker = object()

    @track_progress
    def work(value: object) -> object:
        return value

    assert work(marker) is marker
    assert (only().name, only().operation_type, only().status) == ("work", "general", Status.COMPLETED)


def test_options_are_those_of_the_tracker() -> None:
    @track_progress(
        operation_type=OperationType.BATCH,
        total_steps=4,
        name="nightly",
        deadline=60,
        stall_after=5,
        metadata={"k": "v"},
    )
    def work() -> Operation:
        get_progress_tracker().update(2, "half")
        return get_progress_tracker().get_progress_details()

    inside = work()
    assert (inside.operation_type, inside.name, inside.total_steps, inside.progress) == ("batch", "nightly", 4, 0.5)
    assert inside.deadline_at == pytest.approx(inside.created_at + 60)
    assert inside.metadata == {"k": "v"}
    assert only().message == "half"


def test_an_exception_fails_the_operation_and_is_raised_unchanged() -> None:
    error = LookupError("gone")

    @track_progress
    def work() -> None:
        raise error

    with pytest.raises(LookupError) as caught:
        work()
    assert caught.value is error
    assert only().status is Status.FAILED
    assert only().error is not None
    assert only().error.type == "LookupError"


def test_an_interrupt_cancels_and_is_raised_unchanged() -> None:
    @track_progress
    def work() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert (only().status, only().status_reason) == (Status.CANCELLED, "interrupted")


def test_a_coroutine_function_stays_one() -> None:
    @track_progress
    async def work(value: int) -> int:
        await asyncio.sleep(0)
        get_progress_tracker().update(1)
        return value

    assert inspect.iscoroutinefunction(work)
    assert asyncio.run(work(3)) == 3
    assert only().status is Status.COMPLETED


def test_a_cancelled_coroutine_cancels_its_operation() -> None:
    @track_progress
    async def work() -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        task = asyncio.create_task(work())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert only().status is Status.CANCELLED


def test_concurrent_coroutines_have_their_own_tracker() -> None:
    @track_progress
    async def work(number: int) -> bool:
        mine = get_progress_tracker()
        mine.update(message=str(number))
        await asyncio.sleep(0)
        return get_progress_tracker() is mine

    async def main() -> list[bool]:
        return await asyncio.gather(*(work(number) for number in range(10)))

    assert asyncio.run(main()) == [True] * 10
    assert {operation.message for operation in get_progress_registry().operations()} == set(map(str, range(10)))


def test_the_tracker_is_current_inside_only() -> None:
    @track_progress
    def work() -> ProgressTracker:
        return get_progress_tracker()

    with ProgressTracker("around") as around:
        assert work() is not around
        assert get_progress_tracker() is around


def test_a_nested_call_is_a_child() -> None:
    @track_progress
    def inner() -> str | None:
        return get_progress_tracker().get_progress_details().parent_id

    @track_progress
    def outer() -> tuple[str, str | None]:
        return get_progress_tracker().operation_id, inner()

    mine, parent = outer()
    assert mine == parent


def test_an_ending_by_hand_stands() -> None:
    @track_progress
    def work() -> None:
        get_progress_tracker().fail("said so")

    work()
    assert only().status is Status.FAILED


@pytest.mark.parametrize("decorate", [track_progress, track_llm_progress, progress])
def test_name_docstring_and_signature_are_kept(decorate: object) -> None:
    def work(first: int, *, second: str = "x") -> list[str]:
        """What it does."""
        return [second] * first

    decorated = decorate(work)
    assert (decorated.__name__, decorated.__doc__, decorated.__module__) == ("work", "What it does.", __name__)
    assert inspect.signature(decorated) == inspect.signature(work)
    assert decorated(2, second="y") == ["y", "y"]


def test_methods_of_every_kind_can_be_decorated() -> None:
    class Service:
        @track_progress
        def plain(self) -> object:
            return self

        @track_progress
        @classmethod
        def of_class(cls) -> object:
            return cls

        @classmethod
        @track_progress
        def inside(cls) -> object:
            return cls

        @track_llm_progress
        @staticmethod
        def static(model: str) -> str:
            return model

    service = Service()
    assert service.plain() is service
    assert Service.of_class() is Service
    assert Service.inside() is Service
    assert service.static("m") == "m"
    assert len(get_progress_registry().operations()) == 4


def test_a_wrong_call_raises_what_it_always_raised() -> None:
    @track_llm_progress
    def work(model: str) -> str:
        return model

    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        work()  # type: ignore[call-arg]
    assert only().status is Status.FAILED


@pytest.mark.parametrize(
    "options",
    [{"total_steps": "4"}, {"name": 3}, {"deadline": "soon"}, {"stall_after": "never"}, {"operation_type": 1}],
)
def test_a_wrong_type_raises_when_decorating(options: dict[str, object]) -> None:
    def work() -> None: ...

    with pytest.raises(TypeError, match=next(iter(options))):
        track_progress(**options)(work)


def test_decorating_what_is_no_function_raises() -> None:
    with pytest.raises(TypeError, match="decorates functions"):
        track_progress("batch")  # type: ignore[call-overload]


# --- @track_llm_progress ------------------------------------------------------------------------


def llm_call(prompt: str, model: str = "default-model", temperature: float = 0.7, **more: object) -> str:
    return f"{model}: {prompt} {temperature} {more}"


@pytest.mark.parametrize(
    ("args", "kwargs", "model"),
    [
        (("p",), {}, "default-model"),
        (("p", "by-position"), {}, "by-position"),
        (("p",), {"model": "by-name"}, "by-name"),
    ],
)
def test_the_model_is_captured_however_it_is_passed(args: tuple[str, ...], kwargs: dict[str, str], model: str) -> None:
    track_llm_progress(llm_call)(*args, **kwargs)
    assert (only().model, only().operation_type) == (model, "llm_request")


def test_parameters_are_captured_and_the_prompt_never() -> None:
    secret = "my-private-prompt"
    decorated = track_llm_progress(metadata={"team": "search"})(llm_call)
    assert secret in decorated(secret, max_tokens=50, seed=None, messages=[secret])
    assert only().metadata == {"temperature": 0.7, "max_tokens": 50, "team": "search"}
    assert secret not in repr(only())


def test_parameters_become_attributes_of_the_span() -> None:
    @track_llm_progress
    def work(model: str, temperature: float, top_p: float = 0.9) -> object:
        return get_progress_tracker().state.learned

    assert work("m", 0.2) == {"gen_ai.request.temperature": 0.2, "gen_ai.request.top_p": 0.9}


# --- switched off, or broken --------------------------------------------------------------------


@pytest.mark.parametrize("off", [disabled, suppress_instrumentation])
def test_switched_off_everything_works_and_nothing_is_seen(off: object) -> None:
    @track_progress(total_steps=2)
    def plain() -> int:
        get_progress_tracker().update(1)
        return 1

    @progress
    def tool() -> Iterator[dict[str, float]]:
        yield {"progress": 0.5}
        return 2

    @track_progress
    async def stream() -> AsyncIterator[int]:
        yield 3

    async def last() -> int:
        return [item async for item in stream()][-1]

    with ProgressTracker("around") as around, off():
        assert (plain(), tool(), asyncio.run(last())) == (1, 2, 3)
    assert around.get_progress_details().step is None
    assert only().operation_id == "around"


def test_a_failure_of_ours_does_not_reach_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "raising", False)
    monkeypatch.setattr(ProgressTracker, "activate", lambda self: 1 / 0)
    monkeypatch.setattr(ProgressTracker, "end_with", lambda self, error: 1 / 0)

    @track_progress
    def work() -> str:
        return "fine"

    @track_progress
    def numbers() -> Iterator[int]:
        yield 1
        yield 2

    assert work() == "fine"
    assert list(numbers()) == [1, 2]
    assert failures.counts()["decorator"] >= 4


def test_a_tracker_that_cannot_be_made_does_not_reach_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "raising", False)
    monkeypatch.setattr(get_progress_registry(), "add", lambda state: 1 / 0)

    @progress
    def tool() -> Iterator[dict[str, float]]:
        yield {"progress": 0.5}
        return "fine"

    assert tool() == "fine"
    assert failures.counts() == {"tracker": 1}
