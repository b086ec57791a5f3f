"""The table of SDKs: those that are installed, each with its fake."""

from __future__ import annotations

import importlib
from importlib.util import find_spec

from tests.fakes.sdk import Case, Sdk

_CALLS = {
    "openai": "openai",
    "google_genai": "google.genai",
    "ollama": "ollama",
    "anthropic": "anthropic",
    "groq": "groq",
    "botocore": "botocore",
    "huggingface_hub": "huggingface_hub",
    "litellm": "litellm",
    "mistralai": "mistralai.client",
    "cohere": "cohere",
}
"""Provider → the package that its calls need; they stand in `tests/fakes/<provider>_calls.py`, as `SDK`."""


def _is_installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:
        return False


SDKS: dict[str, Sdk] = {
    provider: importlib.import_module(f"tests.fakes.{provider}_calls").SDK
    for provider, package in _CALLS.items()
    if _is_installed(package)
}
MISSING = tuple(provider for provider in _CALLS if provider not in SDKS)
"""Providers whose SDK is not installed here."""

STREAMS: tuple[Case, ...] = tuple(case for sdk in SDKS.values() for case in sdk.streams)
"""Streamed answers."""
ASYNC_STREAMS = tuple(case for case in STREAMS if SDKS[case.provider].async_client)
ANSWERS: tuple[Case, ...] = tuple(case for sdk in SDKS.values() for case in sdk.answers)
"""Answers in one piece."""
ASYNC_ANSWERS = tuple(case for case in ANSWERS if SDKS[case.provider].async_client)


def sdk_of(case: Case) -> Sdk:
    """The SDK that a case belongs to."""
    return SDKS[case.provider]
