"""What a call and a streamed chunk cost through each SDK: with midspan and without, by the table of the tests' fakes.

CPU time of the process. Every measurement is a process of its own, and the variants take turns. An SDK is measured by
the first of its answers and the first of its streams; it gets a row here by having one in `tests/fakes/sdks.py`.
"""

from __future__ import annotations

import itertools
import json
import sys
from dataclasses import replace
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from benchmarks.application import cpu, switch_on, traced_provider
from tests.fakes.serving import asked_of

ROUNDS = 3
CALLS = 300
STREAMS = 2
CHUNKS = 1_000
WARM_UP = 20
VARIANTS = ("bare", "midspan")
KINDS = ("call", "chunk")

Figures = dict[str, dict[str, dict[str, list[float]]]]
"""SDK → variant → kind → µs, of each round."""


def main() -> int:
    """Print the figures of every SDK that is installed as JSON."""
    from benchmarks.__main__ import output_of
    from tests.fakes.sdks import SDKS

    raw: Figures = {name: {variant: {kind: [] for kind in KINDS} for variant in VARIANTS} for name in SDKS}
    for number in range(ROUNDS):
        for name, variant in itertools.product(SDKS, VARIANTS):
            found = json.loads(output_of("benchmarks.providers", name, variant).splitlines()[-1])
            for kind in KINDS:
                raw[name][variant][kind].append(found[kind])
        print(f"providers: round {number + 1} of {ROUNDS}", file=sys.stderr)
    print(json.dumps(raw))
    return 0


def table(figures: Figures) -> str:
    """The lowest of the rounds as a Markdown table: what else runs on the machine only adds."""
    rows = ["| SDK | a call, bare | midspan adds | a chunk, bare | midspan adds |", "|---|---|---|---|---|"]
    for name, variants in figures.items():
        cells: list[str] = []
        for kind in KINDS:
            bare, with_midspan = (min(variants[variant][kind]) for variant in VARIANTS)
            cells += [f"{bare:.1f} µs", f"**{with_midspan - bare:.1f} µs**"]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(rows)


def measure(name: str, variant: str) -> dict[str, float]:
    """µs of a call, and of a chunk, through one SDK."""
    from tests.endings.reading import read_all
    from tests.fakes.sdk import Opened

    # Not by the table, which imports every SDK.
    sdk = import_module(f"tests.fakes.{name}_calls").SDK
    if variant == "midspan":
        # Before the client is made: cohere's keeps its methods as they are then.
        switch_on(traced_provider())
    client, _ = sdk.over(lambda url, _, content: respond(sdk, url, content))
    answer, stream = sdk.answers[0], sdk.streams[0]
    opened = Opened(lambda: stream.call(client, "ok"), sdk.http_response)

    def work(count: int) -> None:
        for _ in range(count):
            answer.call(client, "ok")

    def read(count: int) -> None:
        for _ in range(count):
            assert len(read_all(opened)) >= CHUNKS

    work(WARM_UP)
    read(1)
    return {
        "call": cpu(lambda: work(CALLS), CALLS, 1e6),
        "chunk": cpu(lambda: read(STREAMS), STREAMS * CHUNKS, 1e6),
    }


def respond(sdk: Any, url: str, content: bytes) -> Any:
    """The fake's answer; a stream is as long as streams are."""
    reply, path = sdk.respond(url, content), urlsplit(url).path
    if not sdk.wire.is_streamed(path, asked_of(content)):
        return reply
    return replace(reply, parts=lengthened(sdk.wire, list(reply.parts)))


def lengthened(wire: Any, parts: list[bytes]) -> list[bytes]:
    """The events of a stream, its second token again and again."""
    second = [number for number, part in enumerate(parts) if is_token(wire, part)][1]
    return [*parts[:second], *itertools.repeat(parts[second], CHUNKS), *parts[second + 1 :]]


def is_token(wire: Any, part: bytes) -> bool:
    """Asked as the fake server asks it: of a text, where the events are texts."""
    return wire.is_token(part if wire.event_type.endswith("eventstream") else part.decode())


if __name__ == "__main__":
    if len(sys.argv) == 3:
        print(json.dumps(measure(*sys.argv[1:])))
        sys.exit()
    sys.exit(main())
