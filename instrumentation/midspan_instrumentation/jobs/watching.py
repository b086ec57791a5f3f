"""Which job is to be watched, and with which client."""

from __future__ import annotations

import importlib
import re

from midspan.tracking import instrumenting
from midspan_instrumentation import jobs
from midspan_instrumentation._tables import PROVIDERS
from midspan_instrumentation.jobs._polling import JobWatch
from midspan_instrumentation.jobs._table import JobTable, Poll


def watch_job(job: object, client: object, kind: str | None = None, timeout: float | None = None) -> JobWatch:
    """Watch a job: an object of an SDK, or with a `client` its id. `client` is by default the one it was seen by.

    Raises TypeError for what stands for no job, and where a client is needed; ValueError for an id of an unknown kind.
    """
    name = _provider_of(client if isinstance(job, str) else job)
    table = None if name is None else jobs.load(name)
    if table is None:
        raise TypeError(f"{type(client if isinstance(job, str) else job).__name__} is of no SDK whose jobs are known")
    if isinstance(job, str):
        return JobWatch(table, _poll_of(table, job, kind), job, client, timeout)
    reading = next(iter(table.read(job)), None)
    if reading is None:
        raise TypeError(f"{type(job).__name__} is no job of {table.provider}")
    known = instrumenting.find_job(table.provider, reading.id)
    client = client or (None if known is None else known.client)
    if client is None:
        raise TypeError("the client that can ask for this job is not known: give client=")
    job_id = table.read_address(job) or reading.id
    kinds = [poll.kind for poll in table.polls if poll.kind == (reading.name or reading.kind)]
    return JobWatch(table, _poll_of(table, job_id, kind or next(iter(kinds), None)), job_id, client, timeout)


def watch_by_name(provider: str, job_id: str, kind: str | None = None) -> JobWatch:
    """Watch a job with a client that takes its settings from the environment.

    Raises LookupError for a provider without jobs, ValueError for an id of an unknown kind, and what importing or
    making the client raises.
    """
    table = jobs.load(provider)
    if table is None:
        raise LookupError(f"{provider!r} has no jobs that are known here; there are: {', '.join(jobs.PROVIDERS)}")
    poll = _poll_of(table, job_id, kind)
    module, _, name = table.client.partition(":")
    client = getattr(importlib.import_module(module), name)(*table.client_arguments)
    return JobWatch(table, poll, job_id, client)


def _provider_of(thing: object) -> str | None:
    modules = [kind.__module__ for kind in type(thing).__mro__]
    for name, package in PROVIDERS.items():
        if any(f"{module}.".startswith(f"{package}.") for module in modules):
            return name
    return None


def _poll_of(table: JobTable, job_id: str, kind: str | None) -> Poll:
    if not table.polls:
        raise ValueError(f"the jobs of {table.provider} are over with the calls that make them")
    for poll in table.polls:
        if poll.kind == kind or (kind is None and re.match(poll.prefix, job_id)):
            return poll
    known = ", ".join(f"{poll.kind}" for poll in table.polls)
    raise ValueError(f"{kind or job_id!r} is no kind of job of {table.provider}; there are: {known}")
