"""Where the tables of the providers are: our own, and those of installed packages."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from opentelemetry.util import _importlib_metadata

from midspan_instrumentation import jobs
from midspan_instrumentation._call import Call, wrap_call, wrap_dispatch
from midspan_instrumentation._covering import CoveringCall
from midspan_instrumentation._elsewhere import run_elsewhere
from midspan_instrumentation._importing import OnImport
from midspan_instrumentation._managers import enter_manager, wrap_managed_call
from midspan_instrumentation._outer import wrap_outer
from midspan_instrumentation._parts import wrap_part
from midspan_instrumentation._patch import Patch, Wrapper
from midspan_instrumentation._retry import retry_delay
from midspan_instrumentation._stream_classes import wrap_stream
from midspan_instrumentation.provider import Dispatch, Provider, Target

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

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
    kind = CoveringCall if provider.covers_others else Call
    for target in provider.targets:
        yield _patch(target, wrap_call(provider, target, kind))
    for target in provider.managed:
        yield _patch(target, wrap_managed_call(provider, target))
    for dispatch in provider.dispatches:
        yield _patch(dispatch, wrap_dispatch(provider, dispatch))
    for kind in provider.streams:
        yield Patch(kind.module, kind.hook, wrap_stream(kind))
    for manager in provider.managers:
        entry = "__aenter__" if manager.is_async else "__enter__"
        yield Patch(manager.module, f"{manager.qualname}.{entry}", enter_manager)
    for outer in provider.outers:
        yield Patch(outer.module, outer.qualname, wrap_outer(outer), optional=True)
    for delay in provider.retry_delays:
        yield Patch(delay.module, delay.qualname, retry_delay, optional=True)
    for part in provider.parts:
        yield Patch(part.module, part.qualname, wrap_part(part))
    for runner in provider.runners:
        yield Patch(runner.module, runner.qualname, run_elsewhere, optional=True)


def _patch(callee: Target | Dispatch, wrapper: Wrapper) -> Patch:
    return Patch(callee.module, callee.qualname, wrapper, callee.older_modules, callee.optional)


@functools.cache
def _third_parties() -> dict[str, EntryPoint]:
    # OpenTelemetry has looked through every installed distribution already, some 6 ms, and keeps what it has found.
    points: Iterable[EntryPoint] = _importlib_metadata.entry_points(group=ENTRY_POINTS)  # pyright: ignore[reportUnknownMemberType]
    return {point.name: point for point in points}
