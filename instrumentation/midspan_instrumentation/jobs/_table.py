"""The seam for jobs that outlive a call: a table of the provider's words, of the callables that see a job, and of how
to ask for one. Nothing here knows an SDK.

A reader makes a `JobReading` of what an SDK gives; it looks at nothing else. All of a provider's kinds of jobs share
one table of states.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Self

from msgspec import Struct

from midspan.tracking.instrumenting import ASKED, CREATED, LISTED, ErrorInfo, JobReading, Status
from midspan_instrumentation.provider import Target, replace

__all__ = [
    "ASKED",
    "CREATED",
    "LISTED",
    "Ask",
    "ErrorInfo",
    "JobReading",
    "JobStream",
    "JobTable",
    "JobTarget",
    "Poll",
    "Status",
    "asked_for",
    "methods",
    "named",
    "unix",
]

ReadJobs = Callable[[Any], Iterable[JobReading]]
"""Reads what a call has returned, or the object that it was called on."""


Ask = Callable[[Any, str], Any]
"""Asks a client of the SDK for the job with this id."""


def _nothing(*_args: object, **_kwargs: object) -> None:
    return None


class JobTarget(Struct, frozen=True, eq=False):
    """One callable of an SDK whose calls see jobs; they are no operations themselves.

    `read` reads what it returns; `read_call` has the SDK's own parameters, and makes a reading of the call itself:
    which job was asked for (of which the provider may say that it does not know it), or what it has added to it.
    `how` says whether such a call makes a job, asks for one, or lists some. `of_instance` is for a method that is
    called on the answer: `read` gets that. `read_how`, given the object and the arguments, says `how` for a method
    that calls of every kind go through, and None for those that pass by. `read_stream`, given the arguments, says of a
    call that is answered with the stream of a job which job that is, and the number of the event after which it begins
    (-1: it begins with the first).
    """

    module: str
    qualname: str
    read: ReadJobs
    read_call: Callable[..., JobReading | None] = _nothing
    how: str = ASKED
    is_async: bool = False
    of_instance: bool = False
    read_how: Callable[..., str | None] | None = None
    read_stream: Callable[..., tuple[str, int] | None] = _nothing
    older_modules: tuple[str, ...] = ()
    optional: bool = False

    def as_async(self) -> Self:
        """The same of the class's async twin: `AsyncBatches.retrieve` of `Batches.retrieve`."""
        return replace(self, qualname=f"Async{self.qualname}", is_async=True)


class Poll(Struct, frozen=True, eq=False):
    """How one kind of job is asked for: `asks` are calls of the provider's own client, given it and the job's id.

    `prefix` is how the ids of this kind begin, as a regular expression. With an asynchronous client an answer is
    awaitable. `operation_type` is that of its operations where it is not the kind.
    """

    kind: str
    prefix: str
    asks: tuple[Ask, ...]
    operation_type: str = ""


class JobStream(Struct, frozen=True, eq=False):
    """How the streams of a provider's jobs are read, by which applications follow what is made without them.

    `target` reads the events that bring the answer. `read_event` gives an event's number, the same in every stream of
    the job (None where it has none), and of one that tells of the job itself what `read_job` makes a reading of.
    `working` is a job whose answer is being made, without its id; `completed` is the state that the target's end mark
    stands for.
    """

    target: Target
    read_event: Callable[[Any], tuple[Any, object | None]]
    read_job: Callable[[Any], JobReading]
    working: JobReading
    completed: str


class JobTable(Struct, frozen=True, eq=False):
    """One provider's jobs.

    `states` are its words for the states of all kinds of jobs, with what each means; `read` reads any of its objects
    that stands for jobs. `client` is the `module:name` that makes a client with its settings from the environment,
    called with `client_arguments`. `keeps_client` tells that the objects called lead to the client that can be asked.
    `read_address` tells how to ask for an object's job, where that takes more than its id. `calls` are targets whose
    calls last as long as their job. `begun` are callables that are operations already: those of their calls that pass
    `read_how` are answered with the `stream` of a job that goes on when the stream is left.
    """

    provider: str
    states: Mapping[str, Status]
    read: ReadJobs
    targets: tuple[JobTarget, ...]
    polls: tuple[Poll, ...] = ()
    client: str = ""
    client_arguments: tuple[str, ...] = ()
    keeps_client: bool = True
    read_address: Callable[[object], str | None] = _nothing
    calls: tuple[Target, ...] = ()
    begun: tuple[JobTarget, ...] = ()
    stream: JobStream | None = None


def methods(
    module: str,
    kind: str,
    read: ReadJobs,
    read_call: Callable[..., JobReading | None] = _nothing,
    *,
    made: str = "",
    asked: str = "",
    listed: str = "",
    older_modules: tuple[str, ...] = (),
    optional: bool = False,
) -> Iterable[JobTarget]:
    """The methods of one class, by how they see a job, with those of its asynchronous twin.

    `read_call` tells of the ones that ask for a job which one they mean.
    """
    for how, names in ((CREATED, made), (ASKED, asked), (LISTED, listed)):
        for name in names.split():
            told = read_call if how == ASKED else _nothing
            target = JobTarget(
                module, f"{kind}.{name}", read, told, how, older_modules=older_modules, optional=optional
            )
            yield from (target, target.as_async())


def named(parameter: str, kind: str = "", name: str | None = None) -> Callable[..., JobReading | None]:
    """The reader of a call that names a job by this parameter, its first one; else as `asked_for`."""

    def read_call(*args: object, **kwargs: object) -> JobReading | None:
        return asked_for(args[0] if args else kwargs.get(parameter), kind, name)

    return read_call


def asked_for(job_id: object, kind: str = "", name: str | None = None) -> JobReading | None:
    """A reading that says nothing but which job was meant.

    With a `kind` an id that the provider does not know is a failed operation; without one it is none, as for what
    applications also look up to see whether it is there.
    """
    return JobReading(job_id, kind=kind, name=name) if isinstance(job_id, str) and job_id else None


def unix(time: object) -> float | None:
    """Unix seconds of what an SDK gives for a time: a number of seconds, or a datetime."""
    if isinstance(time, datetime):
        return time.timestamp()
    return float(time) if isinstance(time, (int, float)) and time > 0 else None
