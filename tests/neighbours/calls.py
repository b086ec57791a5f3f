"""The calls that the application makes, through each SDK."""

from __future__ import annotations

import json
import ssl
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from midspan.runtime.wiring import runtime
from tests.fakes.openai_server import FakeOpenAI

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
MESSAGES: list[Any] = [{"role": "user", "content": "Does it work?"}]
OLD_ENOUGH = 1.1
CHOICE = {"index": 0, "message": {"role": "assistant", "content": "At last."}, "finish_reason": "stop"}
COMPLETION = {"id": "c", "object": "chat.completion", "created": 1, "model": "ok-0001", "choices": [CHOICE]}


def wait_until_old() -> None:
    """A call's age decides what is written about it; the pulse, which looks at it once a second, is not waited for."""
    threading.Event().wait(OLD_ENOUGH)
    runtime().pulse.beat()


class Calls(ABC):
    """Methods named `do_…` are the calls; each returns what the application has seen of the answer."""

    def names(self) -> tuple[str, ...]:
        return tuple(name[3:].replace("_", " ") for name in dir(self) if name.startswith("do_"))

    def step(self, name: str) -> Callable[[], object]:
        return getattr(self, f"do_{name.replace(' ', '_')}")

    @abstractmethod
    def targets(self) -> list[object]:
        """What the SDK's methods are, to see that they are the same again."""

    def __enter__(self) -> Self:
        return self

    @abstractmethod
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close what was opened."""


class OpenAICalls(Calls):
    """openai over HTTP, with a server that speaks its protocol."""

    def __init__(self) -> None:
        import openai

        self.openai = openai
        self.server = FakeOpenAI()

    def __enter__(self) -> Self:
        self.server.__enter__()
        http = self.openai.DefaultHttpxClient(verify=NO_TLS)
        url = self.server.base_url
        self.client = self.openai.OpenAI(api_key="x", base_url=url, max_retries=0, http_client=http)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.client.close()
        self.server.__exit__(kind, error, trace)

    def targets(self) -> list[object]:
        from openai.resources.chat.completions import AsyncCompletions, Completions
        from openai.resources.embeddings import Embeddings
        from openai.resources.responses import Responses

        owners = (Completions, AsyncCompletions, Embeddings, Responses)
        methods = [vars(owner)[name] for owner in owners for name in ("create", "parse") if name in vars(owner)]
        return [*methods, self.openai.OpenAI.request, self.openai.AsyncOpenAI.request]

    def asynchronous(self) -> Any:
        http = self.openai.DefaultAsyncHttpxClient(verify=NO_TLS)
        url = self.server.base_url
        return self.openai.AsyncOpenAI(api_key="x", base_url=url, max_retries=0, http_client=http)

    def create(self, model: str, **more: Any) -> Any:
        return self.client.chat.completions.create(model=model, messages=MESSAGES, **more)

    def do_call(self) -> object:
        return self.create("ok").choices[0].message.content

    def do_refused(self) -> object:
        return self.create("refused")

    def do_cut(self) -> object:
        return self.create("cut")

    def do_stream(self) -> object:
        return texts(self.create("ok", stream=True))

    def do_stream_with_usage(self) -> object:
        return texts(self.create("ok", stream=True, stream_options={"include_usage": True}))

    def do_stream_cut(self) -> object:
        return texts(self.create("cut", stream=True))

    def do_stream_closed(self) -> object:
        with self.create("ok", stream=True) as stream:
            return [next(stream).model, isinstance(stream, self.openai.Stream)]

    def do_slow_stream(self) -> object:
        self.server.gate.release()
        stream = self.create("gated", stream=True)
        first = next(stream)
        wait_until_old()
        for _ in range(20):
            self.server.gate.release()
        found = [first.model, *texts(stream)]
        while self.server.gate.acquire(blocking=False):
            pass
        return found

    def do_slow_call(self) -> object:
        import httpx2

        def answer_late(_: object) -> httpx2.Response:
            wait_until_old()
            return httpx2.Response(200, json=COMPLETION)

        with httpx2.Client(transport=httpx2.MockTransport(answer_late)) as http:
            client = self.openai.OpenAI(api_key="x", base_url="http://model.test/v1", http_client=http)
            return client.chat.completions.create(model="ok", messages=MESSAGES).choices[0].message.content

    def do_raw(self) -> object:
        raw = self.client.chat.completions.with_raw_response.create(model="ok", messages=MESSAGES)
        return [raw.status_code, raw.parse().choices[0].message.content]

    def do_stream_helper(self) -> object:
        with self.client.chat.completions.stream(model="ok", messages=MESSAGES) as stream:
            return [event.type for event in stream]

    def do_responses(self) -> object:
        return self.client.responses.create(model="ok", input="Does it work?").output_text

    def do_responses_stream(self) -> object:
        return [event.type for event in self.client.responses.create(model="ok", input="Does it work?", stream=True)]

    def do_embeddings(self) -> object:
        return self.client.embeddings.create(model="ok", input="Does it work?").data[0].embedding

    async def do_async_call(self) -> object:
        async with self.asynchronous() as client:
            answer = await client.chat.completions.create(model="ok", messages=MESSAGES)
            return answer.choices[0].message.content

    async def do_async_refused(self) -> object:
        async with self.asynchronous() as client:
            return await client.chat.completions.create(model="refused", messages=MESSAGES)

    async def do_async_stream(self) -> object:
        async with self.asynchronous() as client:
            stream = await client.chat.completions.create(model="ok", messages=MESSAGES, stream=True)
            return [chunk.model async for chunk in stream]


def texts(stream: Any) -> list[Any]:
    """The parts of a streamed answer."""
    return [chunk.choices[0].delta.content if chunk.choices else None for chunk in stream]


class AnthropicCalls(Calls):
    """anthropic over its own HTTP client's mock transport."""

    def __init__(self) -> None:
        import anthropic
        import httpx2

        self.anthropic, self.httpx2 = anthropic, httpx2
        http = httpx2.Client(transport=httpx2.MockTransport(self.answer), base_url="http://model.test")
        self.client = anthropic.Anthropic(api_key="x", base_url="http://model.test", http_client=http, max_retries=0)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.client.close()

    def targets(self) -> list[object]:
        from anthropic.resources.messages import AsyncMessages, Messages

        return [vars(owner)["create"] for owner in (Messages, AsyncMessages)]

    def answer(self, request: Any) -> Any:
        asked = json.loads(request.content)
        if asked["model"] == "refused":
            error = {"type": "invalid_request_error", "message": "no such thing"}
            return self.httpx2.Response(400, json={"type": "error", "error": error})
        if asked.get("stream"):
            body = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events())
            return self.httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=body.encode())
        return self.httpx2.Response(200, json=message(content=[{"type": "text", "text": "It works."}]))

    def create(self, model: str, **more: Any) -> Any:
        return self.client.messages.create(model=model, max_tokens=9, messages=MESSAGES, **more)

    def do_call(self) -> object:
        return self.create("ok").content[0].text

    def do_refused(self) -> object:
        return self.create("refused")

    def do_stream(self) -> object:
        return [event.type for event in self.create("ok", stream=True)]

    def do_stream_closed(self) -> object:
        with self.create("ok", stream=True) as stream:
            return next(iter(stream)).type

    def do_stream_helper(self) -> object:
        with self.client.messages.stream(model="ok", max_tokens=9, messages=MESSAGES) as stream:
            return list(stream.text_stream)

    async def do_async_call(self) -> object:
        http = self.httpx2.AsyncClient(transport=self.httpx2.MockTransport(self.answer), base_url="http://model.test")
        async with self.anthropic.AsyncAnthropic(
            api_key="x", base_url="http://model.test", http_client=http, max_retries=0
        ) as client:
            answer = await client.messages.create(model="ok", max_tokens=9, messages=MESSAGES)
            return answer.content[0].text


def message(**fields: Any) -> dict[str, Any]:
    usage = {"input_tokens": 7, "output_tokens": 3}
    said = {"id": "msg_1", "type": "message", "role": "assistant", "model": "ok-0001", "stop_reason": "end_turn"}
    return {**said, "stop_sequence": None, "usage": usage, "content": [], **fields}


def events() -> list[dict[str, Any]]:
    """The events of a streamed message."""
    part = {"type": "text", "text": ""}
    delta = {"type": "text_delta", "text": "It works."}
    return [
        {"type": "message_start", "message": message(stop_reason=None)},
        {"type": "content_block_start", "index": 0, "content_block": part},
        {"type": "content_block_delta", "index": 0, "delta": delta},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}},
        {"type": "message_stop"},
    ]


USES: dict[str, Callable[[], Calls]] = {"openai": OpenAICalls, "anthropic": AnthropicCalls}
