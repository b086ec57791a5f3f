"""An application that knows nothing of midspan: one answer streams to its end, another one never comes to it."""

import os
import sys
import threading

import openai

client = openai.OpenAI(max_retries=0)


def ask(model: str) -> None:
    for _ in client.chat.completions.create(model=model, messages=[{"role": "user", "content": "Hi."}], stream=True):
        pass


print(os.getpid(), flush=True)
threading.Thread(target=ask, args=("hanging",), daemon=True).start()
ask("gated")
sys.stdin.read()
