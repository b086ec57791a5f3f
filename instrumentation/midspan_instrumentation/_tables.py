"""Where the tables of the providers are: our own, and those of installed packages."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Iterator
from importlib import metadata

from midspan_instrumentation import jobs
from midspan_instrumentation._call import Call, wrap_call, wrap_dispatch
from midspan_instrumentation._importing import OnImport
from midspan_instrumentation._patch import Patch, Wrapper
from midspan_instrumentation._retry import retry_delay
from midspan_instrumentation._stream_classes import wrap_stream
from midspan_instrumentation.provider import Dispatch, Provider, Target

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

_MORE_PACKAGES = {"mistralai": ("mistralai.azure.client", "mistralai.gcp.client")}
"""Name → further packages that this table is about, which can be imported without the first."""

ENTRY_POINTS = "midspan_provider"
"""Third parties name a `Provider` object under this entry point group."""


def provider_names() -> tuple[str, ...]:
    """Our own providers, and those of installed packages."""
    return (*PROVIDERS, *(name for name in _third_parties() if name not in PROVIDERS))


def on_import(name: str) -> OnImport:
    """What is to be patched for one provider. Of a third party's the table is read at once."""
    if name in PROVIDERS:
        return OnImport(PROVIDERS[name], lambda: _own(name), _MORE_PACKAGES.get(name, ()))
    provider = load(name)
    return OnImport(provider.package, lambda: patches(provider))


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
    yield from patches(provider)
    yield from jobs.patches(name, provider)


def patches(provider: Provider) -> Iterator[Patch]:
    """What few SDKs need is imported for those alone: here, before any of their calls."""
    kind = _kind_of(provider)
    for target in provider.targets:
        yield _patch(target, wrap_call(provider, target, kind))
    for dispatch in provider.dispatches:
        yield _patch(dispatch, wrap_dispatch(provider, dispatch))
    for kind in provider.streams:
        yield Patch(kind.module, f"{kind.qualname}.{kind.maker or '__init__'}", wrap_stream(kind))
    for delay in provider.retry_delays:
        yield Patch(delay.module, delay.qualname, retry_delay, optional=True)
    if provider.managed or provider.managers:
        yield from _of_managers(provider)
    if provider.parts:
        yield from _of_parts(provider)
    if provider.runners:
        yield from _of_runners(provider)


def _kind_of(provider: Provider) -> type[Call]:
    if not provider.covers_others:
        return Call
    from midspan_instrumentation._covering import CoveringCall

    return CoveringCall


def _of_managers(provider: Provider) -> Iterator[Patch]:
    from midspan_instrumentation._managers import enter_manager, wrap_managed_call

    for target in provider.managed:
        yield _patch(target, wrap_managed_call(provider, target))
    for manager in provider.managers:
        entry = "__aenter__" if manager.is_async else "__enter__"
        yield Patch(manager.module, f"{manager.qualname}.{entry}", enter_manager)


def _of_parts(provider: Provider) -> Iterator[Patch]:
    from midspan_instrumentation._parts import wrap_part

    for part in provider.parts:
        yield Patch(part.module, part.qualname, wrap_part(part))


def _of_runners(provider: Provider) -> Iterator[Patch]:
    from midspan_instrumentation._elsewhere import run_elsewhere

    for runner in provider.runners:
        yield Patch(runner.module, runner.qualname, run_elsewhere, optional=True)


def _patch(callee: Target | Dispatch, wrapper: Wrapper) -> Patch:
    return Patch(callee.module, callee.qualname, wrapper, callee.older_modules, callee.optional)


@functools.cache
def _third_parties() -> dict[str, metadata.EntryPoint]:
    # What every installed distribution offers takes longer to be parsed than to be looked through for the group's name.
    if not any(ENTRY_POINTS in (each.read_text("entry_points.txt") or "") for each in metadata.distributions()):
        return {}
    return {point.name: point for point in metadata.entry_points(group=ENTRY_POINTS)}
