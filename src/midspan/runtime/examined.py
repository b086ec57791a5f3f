"""What was found out about a provider here: the shape in which the instrumentation tells it."""

from __future__ import annotations

from typing import Protocol


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
    def seen(self) -> int:
        """How many of its callables can be patched."""
        ...

    @property
    def missing(self) -> tuple[str, ...]:
        """Callables that the installed release lacks, and should have."""
        ...

    @property
    def error(self) -> str | None:
        """Why the SDK cannot be imported."""
        ...
