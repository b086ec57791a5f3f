"""Several calls at once: streamed, not streamed, one that fails, one that is cancelled. Knows nothing of midspan.

    OPENAI_BASE_URL=http://127.0.0.1:8080/v1 OPENAI_API_KEY=none python examples/many_calls.py

The client reads OPENAI_BASE_URL and OPENAI_API_KEY; the model is --model, or OPENAI_MODEL. A small model to ask, in
another terminal: python examples/model_server.py --port 8080
"""

import argparse
import asyncio
import os
from collections.abc import Awaitable
from typing import Any

from openai import AsyncOpenAI, BadRequestError

CHUNKS_BEFORE_CANCEL = 12


def request(model: str, question: str, max_tokens: int) -> dict[str, Any]:
    """The arguments that all calls share."""
    messages = [{"role": "user", "content": question}]
    return {"model": model, "messages": messages, "max_tokens": max_tokens, "seed": 7}


async def streamed(client: AsyncOpenAI, model: str, question: str) -> str:
    """Streams an answer to its end."""
    words: list[str] = []
    async for chunk in await client.chat.completions.create(
        **request(model, question, 200), stream=True, stream_options={"include_usage": True}
    ):
        if chunk.choices and chunk.choices[0].delta.content:
            words.append(chunk.choices[0].delta.content)
    return f"streamed {len(''.join(words))} characters"


async def whole(client: AsyncOpenAI, model: str) -> str:
    """Waits for an answer in one piece."""
    answer = await client.chat.completions.create(**request(model, "Name three rivers.", 60))
    return f"got {len(answer.choices[0].message.content or '')} characters at once"


async def too_long(client: AsyncOpenAI, model: str) -> str:
    """Sends a prompt beyond the model's context, which the server refuses."""
    try:
        await client.chat.completions.create(**request(model, "All work and no play. " * 2000, 60), stream=True)
    except BadRequestError as error:
        return f"was refused: {error.status_code} {error.type}"
    return "was accepted, which is a surprise"


async def cancelled(client: AsyncOpenAI, model: str) -> str:
    """Starts an answer in a task, and cancels the task after its first chunks."""
    enough = asyncio.Event()

    async def read() -> None:
        question = "Count slowly from one to one thousand."
        stream = await client.chat.completions.create(**request(model, question, 400), stream=True)
        seen = 0
        async for _ in stream:
            seen += 1
            if seen == CHUNKS_BEFORE_CANCEL:
                enough.set()

    task = asyncio.create_task(read())
    waiter = asyncio.create_task(enough.wait())
    # The reader may also end first, by an answer that is shorter or by an error.
    await asyncio.wait({task, waiter}, return_when=asyncio.FIRST_COMPLETED)
    waiter.cancel()
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        return "was cancelled after its first chunks"
    return "ended before it could be cancelled"


async def told(name: str, call: Awaitable[str]) -> None:
    """Says what became of one call as soon as it is known."""
    print(f"{name} {await call}", flush=True)


async def main() -> None:
    """Runs all calls at once and prints what becomes of each."""
    parser = argparse.ArgumentParser(description="several calls of a chat model at once")
    parser.add_argument("--model", default=os.environ.get("OPENAI_MODEL", "smollm2-135m"))
    model: str = parser.parse_args().model
    async with AsyncOpenAI() as client:
        await asyncio.gather(
            told("a story", streamed(client, model, "Tell me a story about a clever fox.")),
            told("a recipe", streamed(client, model, "How do I bake bread?")),
            told("a list", whole(client, model)),
            told("a huge prompt", too_long(client, model)),
            told("a long count", cancelled(client, model)),
        )


if __name__ == "__main__":
    asyncio.run(main())
