"""botocore: its session's `send`, under which is urllib3, and how long it sleeps between two attempts.

What aiobotocore sends goes over aiohttp, or over httpx, and is seen there.
"""

from __future__ import annotations

from typing import Any

from midspan_instrumentation._patch import Patch
from midspan_instrumentation._retry import retry_delay, retry_delay_async
from midspan_instrumentation._transport import Attempt, wrap_send
from midspan_instrumentation._transport_urllib3 import host_of_url, observe_response


def _answered(attempt: Attempt, response: Any) -> None:
    if response.status_code >= 400:
        attempt.refused(response.status_code, response.headers)
    elif response._content is None:
        observe_response(response.raw, attempt.unread())
    else:
        attempt.read(len(response.content))


def patches(_package: str) -> tuple[Patch, ...]:
    """The session, and what decides on a further attempt: in the mode `legacy`, of both SDKs, and in the others."""
    return (
        Patch("botocore.httpsession", "URLLib3Session.send", wrap_send(host_of_url, _answered)),
        Patch("botocore.retryhandler", "RetryHandler.__call__", retry_delay, optional=True),
        Patch("aiobotocore.retryhandler", "AioRetryHandler._call", retry_delay_async, optional=True),
        Patch("botocore.retries.standard", "RetryPolicy.compute_retry_delay", retry_delay, optional=True),
    )
