"""A chat client that streams its answers. It knows nothing of midspan.

    OPENAI_BASE_URL=http://127.0.0.1:8080/v1 OPENAI_API_KEY=none python examples/chat.py

The client reads OPENAI_BASE_URL and OPENAI_API_KEY; the model is --model, or OPENAI_MODEL. A small model to ask, in
another terminal: python examples/model_server.py --port 8080
"""

import argparse
import os

from openai import OpenAI

QUESTIONS = (
    "Tell me a short story about a lighthouse keeper.",
    "Explain in a few sentences how rain is made.",
    "Write a letter to a friend about a walk in the hills.",
)


def answer(client: OpenAI, model: str, question: str) -> None:
    """Asks one question and prints the answer as it arrives."""
    print(f"\n> {question}")
    stream = client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": question}],
        max_tokens=220,
        temperature=0.7,
        seed=7,
        stream=True,
        stream_options={"include_usage": True},
    )
    for chunk in stream:
        if chunk.choices and chunk.choices[0].delta.content:
            print(chunk.choices[0].delta.content, end="", flush=True)
    print()


def main() -> None:
    """Asks each question of the command line, or three of its own."""
    parser = argparse.ArgumentParser(description="stream a few answers of a chat model")
    parser.add_argument("--model", default=os.environ.get("OPENAI_MODEL", "smollm2-135m"))
    parser.add_argument("question", nargs="*", default=QUESTIONS)
    options = parser.parse_args()
    with OpenAI() as client:
        for question in options.question:
            answer(client, options.model, question)


if __name__ == "__main__":
    main()
