"""`Agent` (seed S4): a tool-calling loop over an OpenAI-compatible client, which shows its tools' progress."""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import threading
from collections.abc import AsyncIterator, Callable, Generator, Iterable
from typing import Any, Protocol

from midspan.compat.tool_schema import Tool
from midspan.core.operation import OperationType
from midspan.tracking.decorators import track_progress
from midspan.tracking.events import ProgressEvent
from midspan.tracking.parameters import ArgumentError
from midspan.tracking.stream import ProgressStream

DEFAULT_MODEL = "gpt-4o-mini"
MAX_WAITING = 100
LOOK_SECONDS = 0.1
"""How often a thread that waits for room sees whether anybody is there."""

Message = dict[str, Any]
OnProgress = Callable[[ProgressEvent], object]


class Client(Protocol):
    """What is used of an OpenAI-compatible client: `chat.completions.create`, not async."""

    @property
    def chat(self) -> Any:
        """Has `completions`, which has `create`."""
        ...


class Agent:
    """Lets a model call tools (functions, `@progress` ones or plain) until it answers.

    `client` is any OpenAI-compatible client that is not async; without one an `OpenAI()` is made at the first run, from
    its usual environment. `model` is `OPENAI_MODEL` or gpt-4o-mini by default; `max_turns` bounds a run.
    For a real agent framework use its own agent, and watch it through `ProgressStream`.
    """

    def __init__(
        self,
        tools: Iterable[Callable[..., Any]] = (),
        model: str | None = None,
        client: Client | None = None,
        *,
        instructions: str | None = None,
        max_turns: int = 10,
    ) -> None:
        self.model = model or os.environ.get("OPENAI_MODEL") or DEFAULT_MODEL
        self.instructions = instructions
        self.max_turns = max_turns
        self._client = client
        self._tools = {tool.name: tool for tool in map(Tool, tools)}

    def run(self, prompt: str, on_progress: OnProgress | None = None) -> str:
        """The model's answer to `prompt`; each event of its tools goes to `on_progress` (seed S4-06).

        Raises what the client, a tool or the callback raises, and RuntimeError where there is no answer in `max_turns`.
        """
        turns = self._turns(prompt)
        while True:
            try:
                event = next(turns)
            except StopIteration as stop:
                return stop.value
            if on_progress is not None:
                on_progress(event)

    async def arun_stream(self, prompt: str) -> AsyncIterator[ProgressEvent]:
        """The tools' events, then one of type `result` whose `data` is the answer (seed S4-07).

        The client and the tools run in a worker thread, which waits where 100 events have not been taken yet. Raises as
        `run` does; leaving the loop early stops the run at its next event.
        """
        loop = asyncio.get_running_loop()
        events: asyncio.Queue[ProgressEvent | None] = asyncio.Queue()
        left, room = threading.Event(), threading.Semaphore(MAX_WAITING)

        def pump() -> None:
            try:
                for event in self._events(prompt):
                    while not room.acquire(timeout=LOOK_SECONDS) and not left.is_set():
                        pass
                    if left.is_set():
                        return
                    loop.call_soon_threadsafe(events.put_nowait, event)
            finally:
                loop.call_soon_threadsafe(events.put_nowait, None)

        worker = asyncio.create_task(asyncio.to_thread(pump))
        try:
            while (event := await events.get()) is not None:
                room.release()
                yield event
            await worker
        finally:
            left.set()
            worker.add_done_callback(_seen)

    def _events(self, prompt: str) -> Generator[ProgressEvent]:
        answer = yield from self._turns(prompt)
        yield ProgressEvent(1.0, data=answer, type="result")

    @track_progress(operation_type=OperationType.AGENT, name="agent")
    def _turns(self, prompt: str) -> Generator[ProgressEvent, None, str]:
        messages: list[Message] = [{"role": "user", "content": prompt}]
        if self.instructions is not None:
            messages.insert(0, {"role": "system", "content": self.instructions})
        for _ in range(self.max_turns):
            reply = self._ask(messages)
            calls: list[Any] = reply.tool_calls or []
            if not calls:
                return reply.content or ""
            messages.append(_as_message(reply, calls))
            for call in calls:
                output = yield from self._use_tool(call)
                messages.append({"role": "tool", "tool_call_id": call.id, "content": output})
        raise RuntimeError(f"no answer after {self.max_turns} turns")

    def _ask(self, messages: list[Message]) -> Any:
        request: dict[str, Any] = {"model": self.model, "messages": messages}
        if self._tools:
            request["tools"] = [tool.schema for tool in self._tools.values()]
        response = self._get_client().chat.completions.create(**request)
        if inspect.isawaitable(response):
            raise TypeError("Agent needs a client that is not async: OpenAI(), not AsyncOpenAI()")
        return response.choices[0].message

    def _get_client(self) -> Client:
        if self._client is None:
            from openai import OpenAI

            self._client = OpenAI()
        return self._client

    def _use_tool(self, call: Any) -> Generator[ProgressEvent, None, str]:
        """Run one tool call. What the model got wrong is told to the model; what the tool raises is raised."""
        tool = self._tools.get(call.function.name)
        if tool is None:
            return f"error: there is no tool named {call.function.name!r}"
        try:
            arguments = tool.arguments(call.function.arguments)
        except ArgumentError as error:
            return f"error: {error}"
        stream = ProgressStream(tool.function, **arguments)
        yield from stream
        return _as_text(stream.result)


def _as_message(reply: Any, calls: list[Any]) -> Message:
    called = [
        {
            "id": call.id,
            "type": "function",
            "function": {"name": call.function.name, "arguments": call.function.arguments},
        }
        for call in calls
    ]
    return {"role": "assistant", "content": reply.content, "tool_calls": called}


def _as_text(result: object) -> str:
    return result if isinstance(result, str) else json.dumps(result, default=repr, ensure_ascii=False)


def _seen(worker: asyncio.Task[None]) -> None:
    """Look at the outcome of a worker that nobody waits for any more, or asyncio logs it."""
    if not worker.cancelled():
        worker.exception()
