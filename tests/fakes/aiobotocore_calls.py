"""The asynchronous clients for Bedrock: those of aiobotocore, over aiohttp."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

import aiohttp
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from aiohttp.client_proto import ResponseHandler

from tests.fakes.sdk import Reply, Respond

ONCE = {"total_max_attempts": 1, "mode": "standard"}


@cache
def _session() -> Any:
    session = get_session()
    session.set_credentials("x", "y")
    return session


def made(url: str, service: str = "bedrock-runtime", **more: Any) -> Any:
    """What makes a client that asks once, when it is entered."""
    config = AioConfig(**{"retries": ONCE, **more})
    return _session().create_client(service, "us-east-1", endpoint_url=url, verify=False, config=config)


@asynccontextmanager
async def async_client(url: str, **more: Any) -> AsyncIterator[Any]:
    """It is closed at the end."""
    async with made(url, **more) as client:
        yield client


def open_async_client(url: str, service: str = "bedrock-runtime") -> Any:
    """One that nobody closes: to make it is to wait for nothing."""
    return _at_once(made(url, service).__aenter__())


def _at_once(coroutine: Coroutine[Any, Any, Any]) -> Any:
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waits")


def over(respond: Respond, service: str = "bedrock-runtime") -> Any:
    """A client whose connections answer in the process."""
    client = open_async_client("http://model.example", service)

    async def get_session(_proxy: object) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(connector=_Connector(respond), auto_decompress=False)

    client._endpoint.http_session._get_session = get_session
    return client


class _Connector(aiohttp.BaseConnector):
    """One for each request: it closes itself, and there is no loop that would wait for it."""

    def __init__(self, respond: Respond) -> None:
        super().__init__(force_close=True)
        self._respond = respond

    async def _create_connection(self, *given: Any) -> ResponseHandler:
        protocol = ResponseHandler(asyncio.get_running_loop())
        protocol.connection_made(_Transport(protocol, self._respond, str(given[0].url)))
        return protocol


class _Transport(asyncio.Transport):
    """Takes a whole request, and gives the parts of the answer at once."""

    def __init__(self, protocol: ResponseHandler, respond: Respond, url: str) -> None:
        super().__init__()
        self._protocol = protocol
        self._answer = respond
        self._url = url
        self._written = b""
        self._is_closed = False

    def write(self, data: Any) -> None:
        self._written += bytes(data)
        head, blank, body = self._written.partition(b"\r\n\r\n")
        headers = [(name.lower(), value) for name, _, value in (row.partition(b": ") for row in head.splitlines()[1:])]
        if blank and len(body) == int(dict(headers).get(b"content-length", 0)):
            reply = self._answer(self._url, [row for row in sorted(headers) if row[0] not in OF_THE_MOMENT], body)
            asyncio.get_running_loop().call_soon(self._protocol.data_received, b"".join(_written(reply)))

    def is_closing(self) -> bool:
        return self._is_closed

    def close(self) -> None:
        self._is_closed = True

    abort = close

    def pause_reading(self) -> None:
        """It is all there."""

    resume_reading = pause_reading


OF_THE_MOMENT = (b"authorization", b"x-amz-date", b"amz-sdk-invocation-id")
"""Headers that are never the same twice."""


def _written(reply: Reply) -> Iterable[bytes]:
    yield b"HTTP/1.1 %d OK\r\nconnection: close\r\ncontent-type: %s\r\n" % (reply.status, reply.kind.encode())
    yield b"transfer-encoding: chunked\r\n\r\n"
    for part in reply.parts:
        yield b"%x\r\n%s\r\n" % (len(part), part)
    yield b"0\r\n\r\n"
