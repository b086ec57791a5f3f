"""From raw measurements to the tables of the README."""

from __future__ import annotations

import json
import os
import platform
import statistics
from datetime import UTC, datetime

from benchmarks.peers.attach import PEERS
from benchmarks.peers.environments import ROOT
from benchmarks.peers.work import WORK, Result

RESULTS = ROOT / "benchmarks" / "results"
Raw = dict[str, dict[str, list[Result]]]
Document = dict[str, object]
CPU = [name for name, work in WORK.items() if not work.once]
MEMORY = [name for name, work in WORK.items() if work.once]


def document(raw: Raw, rounds: int, seconds: float, packages: dict[str, list[str]]) -> Document:
    """What is kept: the machine, the packages, every single value."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} CPUs, {platform.system()} {platform.release()}",
        "load": os.getloadavg(),
        "rounds": rounds,
        "seconds": round(seconds),
        "work": {name: f"{work.title}: {work.unit}" for name, work in WORK.items()},
        "values": raw,
        "packages": packages,
    }


def keep(kept: Document, text: str) -> None:
    """Write the raw data and the tables next to the benchmark."""
    path = RESULTS / f"peers-python-{platform.python_version()}.json"
    path.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    (RESULTS / "peers.md").write_text(text + "\n", encoding="utf-8")


def tables(raw: Raw, rounds: int) -> str:
    """Both tables, and how far the baseline was from itself."""
    measured = next(iter(raw.values()))
    parts = [table(raw, [name for name in names if name in measured]) for names in (CPU, MEMORY)]
    texts = [part for part in parts if part]
    return "\n\n".join([*texts, noise(raw, rounds)])


def table(raw: Raw, works: list[str]) -> str:
    """One row a tool, one column a kind of work."""
    if not works:
        return ""
    head = "| | " + " | ".join(f"{WORK[work].title} ({WORK[work].unit})" for work in works) + " |"
    names = [name for name in ordered(raw) if raw[name].get(works[0])]
    rows = [f"| {PEERS[name].name} | " + " | ".join(cell(raw, name, work) for work in works) + " |" for name in names]
    return "\n".join([head, "|---" * (len(works) + 1) + "|", *rows])


def ordered(raw: Raw) -> list[str]:
    """The baselines, midspan, and the others by what a call costs over their baseline."""
    first = [name for name in ("none", "none2", "midspan", "midspan-500") if name in raw]
    rest = [name for name in raw if name not in first]
    return first + sorted(rest, key=lambda name: over(raw, name, "call") or 0.0)


def median(raw: Raw, name: str, work: str, key: str = "value") -> float | None:
    """The median of a cell's values."""
    values = [result[key] for result in raw.get(name, {}).get(work, []) if key in result]
    return statistics.median(values) if values else None


def over(raw: Raw, name: str, work: str) -> float | None:
    """What the tool adds to its baseline."""
    value, bare = median(raw, name, work), median(raw, PEERS[name].baseline, work)
    return None if value is None or bare is None else value - bare


def cell(raw: Raw, name: str, work: str) -> str:
    """The baseline's own figure, or what a tool adds to it; memory as it was measured."""
    value = median(raw, name, work)
    if value is None:
        return ""
    if WORK[work].once:
        return memory_cell(raw, name, work, value)
    if name == PEERS[name].baseline:
        return number(value)
    added = over(raw, name, work)
    return number(value) if added is None else f"+{number(added)}".replace("+-", "-")


def memory_cell(raw: Raw, name: str, work: str, value: float) -> str:
    """KiB of growth; for streams that are left, the spans that came of them."""
    spans = median(raw, name, work, "spans")
    told = work == "memory-left" and name != PEERS[name].baseline
    return f"{value:,.0f} ({spans:,.0f} spans)" if told else f"{value:,.0f}"


def number(value: float) -> str:
    """As many digits as mean something."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 3 else f"{value:.2f}"


def noise(raw: Raw, rounds: int) -> str:
    """One sentence about how closely the uninstrumented rounds agree."""
    spans: list[str] = []
    for work in CPU:
        values = [result["value"] for result in raw.get("none", {}).get(work, [])]
        if len(values) > 1:
            spread = (max(values) - min(values)) / statistics.median(values)
            spans.append(f"{WORK[work].title} {spread:.0%}")
    told = f" Largest less smallest of the uninstrumented rounds: {', '.join(spans)}." if spans else ""
    return (
        f"CPU time over the uninstrumented SDK, median of {rounds} shuffled rounds; memory is the growth of the "
        f"process after a warm-up of 500, measured once.{told}"
    )
