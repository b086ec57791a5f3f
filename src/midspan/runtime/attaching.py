"""Where the instrumentation hangs: the only module that imports it, and late, for what is asked of it here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from midspan.runtime.examined import Examined
    from midspan.runtime.watching import JobSnapshots
    from midspan.settings import Settings


class Hooks:
    """Hooks on the providers' own modules, applied when (and if) the app imports them."""

    def __init__(self) -> None:
        self._undo: Callable[[], None] | None = None

    @property
    def are_on(self) -> bool:
        """True while calls are seen."""
        return self._undo is not None

    def attach(self, settings: Settings) -> None:
        """See the calls of the providers that the settings name; a second time adds those that are new."""
        import midspan_instrumentation

        midspan_instrumentation.apply(settings.wanted_providers, settings.unwanted_providers)
        self._undo = midspan_instrumentation.undo

    def detach(self) -> None:
        """See no calls any more; what runs is left to its end."""
        if self._undo is not None:
            self._undo()
            self._undo = None


def provider_names() -> Sequence[str]:
    """The providers that are known, those of other packages too."""
    import midspan_instrumentation

    return midspan_instrumentation.provider_names()


def examine_providers() -> Sequence[Examined]:
    """Every provider that is known, and whether its SDK is installed and fits. Imports the installed SDKs."""
    import midspan_instrumentation

    return midspan_instrumentation.examine_providers()


def watch_job(job: object, client: object | None, kind: str | None, timeout: float | None) -> JobSnapshots:
    """Ask a provider for one of its jobs until that has ended; see `midspan.watch`."""
    from midspan_instrumentation.jobs import watching

    return watching.watch_job(job, client, kind, timeout)


def watch_job_by_name(provider: str, job_id: str, kind: str | None) -> JobSnapshots:
    """The same with a client that takes its settings from the environment.

    Raises LookupError for a provider whose jobs are not known, ValueError for an id of an unknown kind, and what the
    SDK raises where it is missing, or lacks a setting.
    """
    from midspan_instrumentation.jobs import watching

    return watching.watch_by_name(provider, job_id, kind)
