"""requests: the session's `send`, under which is urllib3."""

from __future__ import annotations

from typing import Any

from midspan_instrumentation._patch import Patch
from midspan_instrumentation._transport import Attempt, wrap_send
from midspan_instrumentation._transport_urllib3 import host_of_url, observe_response


def _answered(attempt: Attempt, response: Any) -> None:
    if response.status_code >= 400:
        attempt.refused(response.status_code, response.headers)
    elif response._content_consumed:
        attempt.read(len(response.content))
    else:
        observe_response(response.raw, attempt.unread())


def patches(_package: str) -> tuple[Patch, ...]:
    """The session; what it connects with is urllib3's."""
    return (Patch("requests.sessions", "Session.send", wrap_send(host_of_url, _answered)),)
