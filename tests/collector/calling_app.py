"""An application that makes calls, and prints what it has got and what midspan has of it; then it waits for its end."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai

import midspan

client: Any = openai.OpenAI(max_retries=0)


def ask(model: str) -> str:
    try:
        answer = client.chat.completions.create(model=model, messages=[{"role": "user", "content": "Hi."}])
    except openai.BadRequestError as error:
        return type(error).__name__
    return answer.choices[0].message.content


with ThreadPoolExecutor(10) as pool:
    answers = list(pool.map(ask, ("ok", "refused") * 50))
operations = midspan.get_progress_registry().operations()
print(json.dumps([answers, {operation.operation_id: operation.status for operation in operations}]), flush=True)
sys.stdin.read()
