"""Where the tables of the providers are: our own, and those of installed packages."""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
from collections.abc import Iterator

from midspan_instrumentation import jobs
from midspan_instrumentation._call import wrap_call, wrap_stream
from midspan_instrumentation._elsewhere import run_elsewhere
from midspan_instrumentation._importing import OnImport
from midspan_instrumentation._managers import enter_manager, wrap_managed_call
from midspan_instrumentation._parts import submit, wrap_part
from midspan_instrumentation._patch import Patch
from midspan_instrumentation._retry import retry_delay
from midspan_instrumentation.provider import Provider

PROVIDERS: dict[str, str] = {
    "openai": "openai",
    "anthropic": "anthropic",
    "groq": "groq",
    "google_genai": "google.genai",
    "ollama": "ollama",
    "botocore": "botocore",
    "huggingface_hub": "huggingface_hub.inference",
    "litellm": "litellm",
    "mistralai": "mistralai.client",
    "cohere": "cohere",
}
"""Name → the package at whose import the table is read: `PROVIDER` in `providers/<name>.py`."""

ENTRY_POINTS = "midspan_provider"
"""Third parties name a `Provider` object under this entry point group."""


def provider_names() -> tuple[str, ...]:
    """Our own providers, and those of installed packages."""
    return (*PROVIDERS, *(name for name in _third_parties() if name not in PROVIDERS))


def on_import(name: str) -> OnImport:
    """What is to be patched for one provider. Of a third party's the table is read at once."""
    if name in PROVIDERS:
        return OnImport(PROVIDERS[name], lambda: _own(name))
    provider = load(name)
    return OnImport(provider.package, lambda: _patches(provider))


def load(name: str) -> Provider:
    """The table. Raises TypeError where an entry point names something else."""
    if name in PROVIDERS:
        return importlib.import_module(f"midspan_instrumentation.providers.{name}").PROVIDER
    provider: object = _third_parties()[name].load()
    if not isinstance(provider, Provider):
        raise TypeError(f"entry point {name} of {ENTRY_POINTS} is not a Provider: {provider!r}")
    return provider


def _own(name: str) -> Iterator[Patch]:
    provider = load(name)
    yield from _patches(provider)
    yield from jobs.patches(name, provider)


def _patches(provider: Provider) -> Iterator[Patch]:
    for target in provider.targets:
        wrapper = (wrap_managed_call if target.returns_manager else wrap_call)(provider, target)
        yield Patch(target.module, target.qualname, wrapper, target.older_modules, target.optional)
    for kind in provider.streams:
        yield Patch(kind.module, f"{kind.qualname}.{kind.maker or '__init__'}", wrap_stream(kind))
    for manager in provider.managers:
        entry = "__aenter__" if manager.is_async else "__enter__"
        yield Patch(manager.module, f"{manager.qualname}.{entry}", enter_manager)
    for delay in provider.retry_delays:
        yield Patch(delay.module, delay.qualname, retry_delay, optional=True)
    for part in provider.parts:
        yield Patch(part.module, part.qualname, wrap_part(part))
    for pool in provider.pools:
        yield Patch(pool.module, f"{pool.qualname}.submit", submit)
    for runner in provider.runners:
        yield Patch(runner.module, runner.qualname, run_elsewhere, optional=True)


@functools.cache  # looks through every installed distribution: some 6 ms
def _third_parties() -> dict[str, importlib.metadata.EntryPoint]:
    return {point.name: point for point in importlib.metadata.entry_points(group=ENTRY_POINTS)}
