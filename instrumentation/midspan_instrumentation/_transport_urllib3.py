"""urllib3: where it connects and has written the request, and its responses, which botocore and others hand on."""

from __future__ import annotations

import sys
from collections.abc import Generator, Mapping
from typing import Any, cast
from urllib.parse import urlsplit

from midspan_instrumentation._body import BodyWatch, ObservedBody, observed_class
from midspan_instrumentation._patch import Patch
from midspan_instrumentation._transport import connect, wait_for_answer


def host_of_url(_session: object, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str | None:
    """The host of a request as botocore and requests have it."""
    url: str = (args[0] if args else kwargs["request"]).url
    return urlsplit(url).hostname


class _ObservedResponse(ObservedBody):
    """A response of urllib3 that tells what becomes of it.

    It is the response itself: what stands above has stored it in several places already. It closes itself while it
    reads, where the server breaks off: the exception that follows is the ending then.
    """

    midspan_reads: bool = False

    def read(self, *args: Any, **kwargs: Any) -> bytes:
        watch = self.midspan_watch
        self.midspan_reads = True
        try:
            part: bytes = cast(Any, super()).read(*args, **kwargs)
        except BaseException as error:
            watch.body_raised(error)
            raise
        finally:
            self.midspan_reads = False
        if part:
            watch.received(part)
        if cast(Any, self).isclosed():
            watch.body_read()
        return part

    def read_chunked(self, *args: Any, **kwargs: Any) -> Generator[bytes]:
        watch = self.midspan_watch
        parts: Generator[bytes] = cast(Any, super()).read_chunked(*args, **kwargs)
        try:
            while (part := self._midspan_next(parts)) is not None:
                watch.received(part)
                yield part
        except BaseException as error:
            watch.body_raised(error)
            raise
        finally:
            parts.close()
        watch.body_read()

    def _midspan_next(self, parts: Generator[bytes]) -> bytes | None:
        self.midspan_reads = True
        try:
            return next(parts, None)
        finally:
            self.midspan_reads = False

    def close(self) -> None:
        during = sys.exc_info()[0]
        try:
            cast(Any, super()).close()
        finally:
            if not self.midspan_reads:
                self.midspan_watch.body_closed(during)

    def __del__(self) -> None:
        # It closes itself when it is destroyed: that is no closing by the application.
        self.midspan_reads = True
        super().__del__()
        cast(Any, super(ObservedBody, self)).__del__()


def observe_response(response: object, watch: BodyWatch) -> None:
    """Tell `watch` what becomes of the body of a response of urllib3 from now on."""
    cast(Any, response).midspan_watch = watch
    cast(Any, response).__class__ = observed_class(type(response), _ObservedResponse)


def patches(_package: str) -> tuple[Patch, ...]:
    """What every connection does, whichever pool and session it belongs to."""
    return (
        Patch("urllib3.connection", "HTTPConnection.connect", connect),
        Patch("urllib3.connection", "HTTPSConnection.connect", connect),
        Patch("urllib3.connection", "HTTPConnection.getresponse", wait_for_answer, optional=True),
    )
