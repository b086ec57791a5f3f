"""The SDKs: which are installed, whether they fit, and by which of their callables calls and jobs are seen."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable, Iterator, Mapping, Sequence

from midspan.cli.findings import Finding
from midspan.cli.installed import version_of
from midspan.runtime import wiring
from midspan.runtime.examined import Callables, Examined


def found_providers() -> Iterator[Finding]:
    """Each SDK that midspan knows, then the jobs of each. The installed are imported, and patched for a moment."""
    distributions = importlib.metadata.packages_distributions()
    providers = wiring.examine_providers()
    for examined in providers:
        names = _distributions_of(examined.package, distributions)
        yield _provider(examined, ", ".join(f"{name} {version_of(name)}" for name in names))
    for examined in providers:
        if examined.jobs.seen or examined.jobs.absent:
            yield _jobs(examined)


def _distributions_of(package: str, distributions: Mapping[str, list[str]]) -> list[str]:
    """Those that have brought a package: google.genai, a part of a namespace, is of google-genai and nobody else."""
    own, root = package.replace(".", "-"), package.partition(".")[0]
    return [own] if version_of(own) else sorted({*distributions.get(root, ())})


def _provider(examined: Examined, versions: str) -> Finding:
    name, missing = examined.name, (*examined.calls.missing, *examined.jobs.missing)
    if not examined.is_installed:
        return Finding("SDKs", name, "info", "not installed")
    if examined.error is not None:
        advice = "reinstall the SDK: its import has to work without midspan as well"
        return Finding("SDKs", name, "problem", f"{versions} cannot be imported: {examined.error}", advice)
    if missing:
        advice = "use another release of the SDK, or another one of midspan; the other calls are seen"
        return Finding("SDKs", name, "problem", f"{versions} lacks {listed(missing)}", advice)
    said = [f"{versions}: supported, {_counted(examined.calls.seen)} can be patched", *_not_here(examined.calls)]
    return Finding("SDKs", name, "ok", "; ".join(said))


def _jobs(examined: Examined) -> Finding:
    seen = examined.jobs.seen
    said = [*([f"seen by {_counted(seen)}: {listed(seen)}"] if seen else []), *_not_here(examined.jobs)]
    return Finding("jobs", examined.name, "ok" if seen else "info", "; ".join(said))


def _counted(names: Sequence[str]) -> str:
    return f"{len(names)} callable{'' if len(names) == 1 else 's'}"


def _not_here(callables: Callables) -> Iterator[str]:
    if callables.absent:
        yield f"not in the installed release: {listed(callables.absent)}"


def listed(names: Iterable[str]) -> str:
    """Qualified names in a line: methods of one class together, and without an asynchronous twin of what is there.

    `listed(["Jobs.list", "Jobs.get", "AsyncJobs.get"])` is `Jobs.list/get`.
    """
    known = dict.fromkeys(names)
    methods: dict[str, list[str]] = {}
    for name in known:
        twin = name.removeprefix("Async").removesuffix("_async")
        if twin == name or twin not in known:
            owner, _, method = name.rpartition(".")
            methods.setdefault(owner, []).append(method)
    return ", ".join(f"{owner}.{'/'.join(each)}" if owner else "/".join(each) for owner, each in methods.items())
