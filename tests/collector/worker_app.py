"""A WSGI application with workers, whose own metrics are shared by PROMETHEUS_MULTIPROC_DIR."""

import os
from collections.abc import Callable, Iterable
from typing import Any

import openai
from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

import midspan

client: Any = openai.OpenAI()
questions = Counter("app_questions", "Questions that this application has asked.")
page = CollectorRegistry()
MultiProcessCollector(page)
midspan.register_prometheus(page)


def wsgi(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    body = b""
    if environ["PATH_INFO"] == "/ask":
        client.chat.completions.create(model="ok", messages=[{"role": "user", "content": "Hi."}])
        questions.inc()
    elif environ["PATH_INFO"] == "/metrics":
        body = generate_latest(page)
    start_response("200 OK", [("X-Worker", str(os.getpid()))])
    return [body]
