"""What was found out about a provider here: the shape in which the instrumentation tells it."""

from __future__ import annotations

from typing import Protocol


class Callables(Protocol):
    """Some callables of an SDK, by their names."""

    @property
    def seen(self) -> tuple[str, ...]:
        """Those that can be patched."""
        ...

    @property
    def missing(self) -> tuple[str, ...]:
        """Those that the installed release lacks, and should have."""
        ...

    @property
    def absent(self) -> tuple[str, ...]:
        """Those that other releases have."""
        ...


class Examined(Protocol):
    """One provider, and whether its SDK fits."""

    @property
    def name(self) -> str:
        """Of the provider."""
        ...

    @property
    def package(self) -> str:
        """The import names of its SDK."""
        ...

    @property
    def is_installed(self) -> bool:
        """Whether it is there."""
        ...

    @property
    def calls(self) -> Callables:
        """What its calls are made with."""
        ...

    @property
    def jobs(self) -> Callables:
        """What sees its jobs."""
        ...

    @property
    def error(self) -> str | None:
        """Why the SDK cannot be imported."""
        ...
