"""The wrappers of calls that see jobs: what they return is handed on unchanged, after it was read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import cast

from msgspec import Struct

from midspan.tracking import instrumenting
from midspan_instrumentation._call import wrap_call
from midspan_instrumentation._guard import guarded
from midspan_instrumentation._patch import Patch, Wrapper
from midspan_instrumentation.jobs._begun import wrap_begun
from midspan_instrumentation.jobs._following import FollowedStream, follow
from midspan_instrumentation.jobs._refusing import is_unknown
from midspan_instrumentation.jobs._table import JobTable, JobTarget
from midspan_instrumentation.provider import Provider

Arguments = tuple[tuple[object, ...], Mapping[str, object]]


def job_patches(table: JobTable, provider: Provider) -> Iterator[Patch]:
    """A patch for each of the table's targets, and for each of its calls."""
    for call in table.calls:
        yield Patch(call.module, call.qualname, wrap_call(provider, call), call.older_modules, call.optional)
    for target in table.targets:
        yield _patch(target, _wrapper(table, target, provider))
    for target in table.begun:
        yield _patch(target, wrap_begun(table, target))


def _patch(target: JobTarget, wrapper: Wrapper) -> Patch:
    return Patch(target.module, target.qualname, wrapper, target.older_modules, target.optional)


def _wrapper(table: JobTable, target: JobTarget, provider: Provider) -> Wrapper:
    look = Look(table, target, provider)

    def call_target(
        wrapped: Callable[..., object],
        instance: object,
        args: tuple[object, ...],
        kwargs: Mapping[str, object],
    ) -> object:
        how = target.how if target.read_how is None else look.ask(target.read_how, instance, (args, kwargs))
        if how is None:
            return wrapped(*args, **kwargs)
        if target.is_async:
            awaitable = cast("Awaitable[object]", wrapped(*args, **kwargs))
            return _await_answer(look, awaitable, how, instance, (args, kwargs))
        try:
            result = wrapped(*args, **kwargs)
        except BaseException as error:
            look.refused(instance, (args, kwargs), error)
            raise
        look.returned(how, instance, (args, kwargs), result)
        return result

    return call_target


async def _await_answer(
    look: Look, awaitable: Awaitable[object], how: str, instance: object, given: Arguments
) -> object:
    try:
        result = await awaitable
    except BaseException as error:
        look.refused(instance, given, error)
        raise
    look.returned(how, instance, given, result)
    return result


class Look(Struct, frozen=True):
    """One callable as it is looked at. None of these raises."""

    table: JobTable
    target: JobTarget
    provider: Provider

    @guarded("job")
    def ask(self, read_how: Callable[..., str | None], instance: object, given: Arguments) -> str | None:
        """How the call may see a job; None for one that passes by."""
        args, kwargs = given
        return read_how(instance, *args, **kwargs)

    @guarded("job")
    def returned(self, how: str, instance: object, given: Arguments, result: object) -> None:
        """The call has seen what it returns."""
        table, target = self.table, self.target
        client = self.provider.read_client(instance)
        if instrumenting.suppressed(client):
            return
        args, kwargs = given
        asker = client if table.keeps_client else None
        streamed = target.read_stream(*args, **kwargs)
        if streamed is not None and table.stream is not None:
            follow(FollowedStream(table, table.stream, asker, *streamed), result, target.is_async)
            return
        call = target.read_call(*args, **kwargs)
        seen = target.read(instance if target.of_instance else result)
        for reading in (*seen, *(() if call is None else (call,))):
            instrumenting.saw_job(table.provider, reading, table.states, how, asker)

    @guarded("job")
    def refused(self, instance: object, given: Arguments, error: BaseException) -> None:
        """The application gets this exception; it ends the job's operation where the provider knows no such job."""
        if not is_unknown(error) or instrumenting.suppressed(self.provider.read_client(instance)):
            return
        args, kwargs = given
        call = self.target.read_call(*args, **kwargs)
        if call is not None:
            instrumenting.refused_job(self.table.provider, call, instrumenting.error_info(error))
