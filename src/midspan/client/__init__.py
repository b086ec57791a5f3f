"""Python clients of the HTTP API, on the standard library alone: `Client` (native), and seed S1's functions."""

from midspan.client.connection import ApiError, ServerEvent
from midspan.client.long_tasks import MCPClient, poll_progress, safe_stream, start_and_stream, stream_progress
from midspan.client.native import Client

__all__ = [
    "ApiError",
    "Client",
    "MCPClient",
    "ServerEvent",
    "poll_progress",
    "safe_stream",
    "start_and_stream",
    "stream_progress",
]
