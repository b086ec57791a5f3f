"""The content of a call, for applications that have asked for it: nothing here runs for the others."""

from __future__ import annotations

from collections.abc import Mapping

from midspan.tracking import instrumenting
from midspan_instrumentation._guard import guarded
from midspan_instrumentation.provider import ChunkReader, Reading, Target, no_pieces


@guarded("content")
def begin(
    tracker: instrumenting.CallTracker,
    target: Target,
    capture: instrumenting.Capture,
    args: tuple[object, ...],
    kwargs: Mapping[str, object],
) -> None:
    """Keep what the call asks."""
    tracker.keep(instrumenting.Content(capture, target.read_prompt(*args, **kwargs)))


@guarded("content")
def answered(content: instrumenting.Content, target: Target, result: object) -> None:
    """Keep the whole answer of a call that was not streamed."""
    for piece in target.read_answer(result):
        content.add(piece)


def chunk_reader(tracker: instrumenting.CallTracker, target: Target) -> ChunkReader:
    """The reader of the chunks of one stream: the target's own, where no content is kept."""
    content = tracker.state.content
    return target.read_chunk if content is None else _keeping(content, target)


def _keeping(content: instrumenting.Content, target: Target) -> ChunkReader:
    read, read_pieces = target.read_chunk, target.read_pieces

    def read_and_keep(chunk: object) -> int | Reading:
        nonlocal read_pieces
        try:
            for piece in read_pieces(chunk):
                content.add(piece)
        except Exception:
            # One log line for a changed SDK, not one a token.
            read_pieces = no_pieces
            instrumenting.report_failure("content")
        return read(chunk)

    return read_and_keep
