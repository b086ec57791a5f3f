"""Jobs that outlive a call (batches, fine-tunings, uploads): one module a provider, each with its `TABLE`."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from midspan_instrumentation._patch import Patch
    from midspan_instrumentation.jobs._table import JobTable, JobTarget
    from midspan_instrumentation.provider import Provider, Target

PROVIDERS = ("openai", "anthropic", "google_genai", "ollama", "botocore", "mistralai", "cohere", "groq")
"""Providers that have a table here, by their names."""


def patches(name: str, provider: Provider) -> Iterator[Patch]:
    """What is to be patched of a provider for its jobs, nothing of one that has none."""
    table = load(name)
    if table is not None:
        from midspan_instrumentation.jobs._seeing import job_patches

        yield from job_patches(table, provider)


def callables(name: str) -> Iterator[JobTarget | Target]:
    """The callables of a provider that see its jobs, nothing of one that has none."""
    table = load(name)
    if table is not None:
        yield from table.targets
        yield from table.calls


def load(name: str) -> JobTable | None:
    """The provider's table; None for one that has no jobs, or whose package says so itself."""
    if name not in PROVIDERS:
        return None
    return importlib.import_module(f"midspan_instrumentation.jobs.{name}").TABLE
