"""Ollama's models: fetching, sending and making one is as long as its call, which streams how far it is."""

from __future__ import annotations

from midspan_instrumentation.jobs._table import JobReading, JobTable
from midspan_instrumentation.provider import Layer, Reading, Request, Target, replace
from midspan_instrumentation.providers._fields import field, number, text

UNSEEN_SECONDS = 3600.0
"""Where it is not streamed nothing is seen of its progress: it stands still no sooner than other jobs."""


def _read_request(model: object = None, *_: object, stream: object = None, **_rest: object) -> Request:
    return Request(model=text(model), stream=stream is True, timeout=None if stream is True else UNSEEN_SECONDS)


def _read_response(_answer: object) -> Reading:
    return Reading()


def _read_progress(progress: object) -> Reading:
    """What it does now, and for a layer of a model how many of its bytes are there."""
    status, digest = text(field(progress, "status")) or "", text(field(progress, "digest"))
    if status == "success":
        return Reading(is_last=True)
    total = number(field(progress, "total"))
    layer = None if digest is None else Layer(digest, number(field(progress, "completed")) or 0.0, total)
    # Without the names of files and layers, and without figures.
    words = (word for word in status.split() if not any(character.isdigit() for character in word))
    return Reading(stage=" ".join(words) or None, layer=layer)


_PULL = Target(
    module="ollama._client",
    qualname="Client.pull",
    operation="pull",
    operation_type="model_pull",
    read_request=_read_request,
    read_response=_read_response,
    read_chunk=_read_progress,
)
_PUSH = replace(_PULL, qualname="Client.push", operation="push", operation_type="file_transfer")
_CREATE = replace(_PULL, qualname="Client.create", operation="create", operation_type="general")

_OF_CLIENT = (_PULL, _PUSH, _CREATE)
_OF_PACKAGE = tuple(
    replace(target, module="ollama", qualname=target.qualname.removeprefix("Client.")) for target in _OF_CLIENT
)


def _read(_answer: object) -> tuple[JobReading, ...]:
    return ()


TABLE = JobTable(
    provider="ollama",
    states={},
    read=_read,
    targets=(),
    calls=(*(each for target in _OF_CLIENT for each in (target, target.as_async())), *_OF_PACKAGE),
)
