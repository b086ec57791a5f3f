"""Writes docs/telemetry.md: every metric, event and attribute, from the tables that the code itself reads.

    make telemetry

README.md gets the same in short, and the alerts, between its marks. A test fails when one of them is not what this
makes, and when a name of the code has no meaning here.
"""

import re
import sys
from collections.abc import Iterable
from pathlib import Path

from midspan.core import names
from midspan.core.content import MAX_CONTENT
from midspan.core.metrics import COMMON, HISTOGRAMS, METRICS
from midspan.core.statistics import MAX_ERROR_TYPES, MAX_MODELS, MAX_PAIRS, MAX_SERIES
from midspan.core.text import MAX_MESSAGE
from midspan.grafana.options import Options
from midspan.grafana.rule_runbooks import table
from midspan.telemetry.genai_metrics import GENAI_METRICS
from midspan.telemetry.live import FROM_SECONDS, LIVE, NEW_IDS
from midspan.telemetry.prometheus import LIVE_SERIES, exposed

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "telemetry.md"
README = ROOT / "README.md"
RUNBOOKS = "grafana/runbooks/"
SOURCES = sorted((ROOT / "instrumentation" / "midspan_instrumentation").rglob("*.py"))

KINDS = {"counter": "counter", "updown": "up-down counter", "gauge": "gauge"}

EVENTS = {
    names.EVENT_START: "It has started. Written once it is a second old, with the true time of its start.",
    names.EVENT_UPDATE: "It has entered another stage or has made progress; about 100 at most for one operation.",
    names.EVENT_STALL: "It has made no progress for longer than its limit; once each time. Severity WARN.",
    names.EVENT_RESUME: "It moves again.",
    names.EVENT_END: "It has ended: how, and how far it came. Severity WARN when it has failed or was lost.",
}

ATTRIBUTES: dict[str, tuple[str, str, str]] = {
    names.OPERATION_ID: ("string", "span, log", "the operation's id, the one of the API; never on a metric"),
    names.OPERATION_TYPE: ("string", "span, log", "`llm_request`, `batch`, `tool` and so on"),
    names.OPERATION_NAME: ("string", "span, log", "its name, of low cardinality; not on the span of a call"),
    names.OPERATION_STATUS: ("string", "span, event", "how it ended: `completed`, `failed`, `cancelled`, `lost`"),
    names.STATUS: ("string", "", "the same, on metrics"),
    names.STAGE: ("string", "span, event", "the stage it is in; on metrics others than the standard ones are `custom`"),
    names.PROGRESS: ("double", "event", "from 0 to 1; absent while unknown"),
    names.STEP_INDEX: ("int", "event", "the step it is at"),
    names.STEP_COUNT: ("int", "event", "how many steps there are"),
    names.MESSAGE: ("string", "event", "what the application says about it, at most 512 characters"),
    names.CHUNK_COUNT: ("int", "span, event", "chunks of the answer so far"),
    names.TOKENS_OUTPUT: ("int", "event", "output tokens so far, an estimate until the server tells"),
    names.REMAINING_TIME: ("double", "event", "seconds still to go, as estimated"),
    names.ESTIMATE_METHOD: ("string", "", "what an estimate was made from"),
    names.SEQUENCE: ("int", "event", "rises with every change: for order, and to tell the same event on two ways"),
    names.STALLED: ("boolean", "event", "true while it is stalled"),
    names.PAST_DEADLINE: ("boolean", "event", "whether its deadline is over; absent without one"),
    names.WILL_MISS_DEADLINE: (
        "boolean",
        "event",
        "whether the estimate lies beyond the deadline; absent when unknown",
    ),
    names.COMPONENT: ("string", "", "the part of midspan that has failed"),
    names.REASON: ("string", "", "which limit has replaced a value"),
    names.ERROR_TYPE: ("string", "span, event", "the provider's error code, or the exception's class"),
    names.SERVER_ADDRESS: ("string", "span", "host of the provider's API"),
    names.SERVER_PORT: ("int", "span", "its port"),
    names.GEN_AI_OPERATION: ("string", "span", "`chat`, `embeddings` and so on"),
    names.GEN_AI_PROVIDER: ("string", "span, log", "the provider"),
    names.GEN_AI_MODEL: ("string", "span, log", "the model asked for"),
    names.GEN_AI_RESPONSE_MODEL: ("string", "span", "the model that answered"),
    names.GEN_AI_STREAM: ("boolean", "span", "true for a streamed call, else absent"),
    names.GEN_AI_MAX_TOKENS: ("int", "span", "the limit asked for"),
    names.GEN_AI_INPUT_TOKENS: ("int", "span", "as the server reported it"),
    names.GEN_AI_OUTPUT_TOKENS: ("int", "span", "as the server reported it"),
    names.GEN_AI_CACHED_TOKENS: ("int", "span", "input tokens out of a cache, as the server reported it"),
    names.GEN_AI_REASONING_TOKENS: ("int", "span", "as the server reported it"),
    names.GEN_AI_FIRST_CHUNK: ("double", "span", "seconds to the first chunk of a streamed answer"),
    names.GEN_AI_TOKEN_TYPE: ("string", "", "`input` or `output`"),
}
"""Type, where beside the metrics, meaning."""

CONTENT = {
    names.GEN_AI_INSTRUCTIONS: "what the model is told apart from the messages: a list of parts",
    names.GEN_AI_INPUT_MESSAGES: "the messages of the request: a list of roles with parts",
    names.GEN_AI_OUTPUT_MESSAGES: "the answer: a message for each choice",
    names.GEN_AI_TOOL_DEFINITIONS: "the tools that the model may ask for",
}
"""Meaning, in the form that the conventions' JSON schemas give."""

READ_ONLY = {names.OPENINFERENCE_KIND}
"""Only read, from other tools' spans."""


TEXT = """\
<!-- Written by docs/make_telemetry.py (make telemetry). Do not edit. -->
# What midspan tells

Metrics have the same names, labels and values on both ways: pushed by OpenTelemetry, and pulled by Prometheus from
`/metrics`, where dots become underscores. [prometheus.md](prometheus.md) has how to scrape it.

Common labels: {common}. An empty one is left out.

## Metrics

{metrics}

`active`, `stalled` and `past_deadline` stay at 0 for what has ended; the progress and the timestamps vanish with the
last running operation of their labels. Timestamps are Unix seconds: they go on ageing when the application hangs.

## Histograms

{histograms}

Recorded once, at the end. An exemplar is the operation's own span, and only if that is sampled. The buckets are advice:
a View of the application wins.

## Single operations, in Prometheus alone

Of operations that run for more than {from_seconds:g} s and are no single call to a model, the {live_series} oldest
(`MIDSPAN_LIVE_SERIES`), at most {new_ids} new ids an hour; with the common labels and `operation_id`.

{live}

Beside them stand `midspan_build_info` (`version`, `python`) and the `process_*` metrics of prometheus-client.

## The GenAI conventions' own metrics

By OpenTelemetry alone, for calls whose span is midspan's own: another tool's span comes with its own metrics.
`MIDSPAN_GENAI_METRICS=off` leaves them out.

{genai}

## Limits

{max_series} sets of common labels, {max_models} models, {max_error_types} error types, and {max_pairs:,} pairs of a set
and a stage, or of a set and an error type; what comes later is `other`, and `midspan.series.suppressed` counts it. So
no metric comes to the 2,000 points from which on OpenTelemetry's SDK throws series together.

## Events

On the operation's span and as log records of the same name (`MIDSPAN_EVENTS`), with the same times and attributes; a
log record leaves the process while the operation is running. An operation shorter than a second has none, unless it
fails.

{events}

## Attributes

{attributes}

What is on an event is on its log record, too. A span of midspan's own for a call has these as well, as far as its
provider tells them: {of_calls}.
Prompts, answers and results are on none of them, and neither is what a server says in an error: that one is told by its
status and its codes.

## Content

Only on request: `OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT` with `SPAN_ONLY` (or `true`), `EVENT_ONLY` or
`SPAN_AND_EVENT`. On a span the values are JSON texts; the event, `{details}`, is a log record and has them as they are,
with what the span says about the request. They are for calls whose span is midspan's own: another tool's comes with a
switch of its own. Of what was asked the newest {max_content:,} characters are kept, of what was answered the first
{max_content:,}; binary data is left out. `midspan.series.suppressed` with the reason `content` counts operations of
which something was cut.

{content}

Nothing of this is in the operation that the API shows. `MIDSPAN_CAPTURE_CONTENT=true` is for that: `content_preview`
(at most {max_preview} characters: the beginning of the prompt, and once the answer begins, its newest end), `result`
(the text of the answer, or what a decorated function has returned), and the words of a server's error.
"""

ALERTS = """\
<!-- Written by docs/make_telemetry.py (make telemetry). Do not edit. -->
<details>
<summary>Every alert</summary>

{table}

</details>
"""

SHORT = """\
<!-- Written by docs/make_telemetry.py (make telemetry). Do not edit. -->
<details>
<summary>Every metric, event and attribute</summary>

In Prometheus dots are underscores, seconds end in `_seconds` and counters in `_total`;
[docs/prometheus.md](docs/prometheus.md) has how to scrape it. Common labels: {common}.

{metrics}

{events}

{attributes}

</details>
"""
"""What of it stands in README.md."""


def page() -> str:
    """The whole page."""
    return TEXT.format(
        common=_codes(COMMON),
        metrics=_metrics(),
        histograms=_histograms(),
        live=_table(("Prometheus", "what"), ((f"`{exposed(row.name, row.unit)}`", row.help) for row in LIVE)),
        from_seconds=FROM_SECONDS,
        live_series=LIVE_SERIES,
        new_ids=NEW_IDS,
        genai=_genai(),
        max_series=MAX_SERIES,
        max_models=MAX_MODELS,
        max_error_types=MAX_ERROR_TYPES,
        max_pairs=MAX_PAIRS,
        events=_events(),
        attributes=_attributes(),
        of_calls=_codes(_of_calls()),
        details=names.GEN_AI_DETAILS,
        content=_table(("attribute", "what"), ((f"`{name}`", text) for name, text in CONTENT.items())),
        max_content=MAX_CONTENT,
        max_preview=MAX_MESSAGE,
    )


def readme(text: str) -> str:
    """README.md with what stands between its marks made anew."""
    return _between(_between(text, "telemetry", short()), "alerts", alerts())


def _between(text: str, name: str, made: str) -> str:
    before, begin, rest = text.partition(f"<!-- {name}:begin -->\n")
    _, end, after = rest.partition(f"<!-- {name}:end -->\n")
    if not begin or not end:
        raise SystemExit(f"README.md lacks <!-- {name}:begin --> or <!-- {name}:end -->")
    return before + begin + made + end + after


def alerts() -> str:
    """The table of alerts, as they are where nothing was said to `midspan grafana export`."""
    return ALERTS.format(table=table(Options(), RUNBOOKS))


def short() -> str:
    """The tables of README.md."""
    return SHORT.format(common=_codes(COMMON), metrics=_all_metrics(), events=_events(), attributes=_attributes())


def _events() -> str:
    return _table(("event", "when"), ((f"`{name}`", text) for name, text in EVENTS.items()))


def _all_metrics() -> str:
    kinds = ((row, KINDS[row.kind]) for row in METRICS)
    rows = (
        (f"`{row.name}`", f"{kind}, `{row.unit}`", _beyond(row.labels), row.help)
        for row, kind in (*kinds, *((row, "histogram") for row in HISTOGRAMS))
    )
    return _table(("metric", "kind, unit", "labels", "what"), rows)


def _metrics() -> str:
    rows = (
        (
            f"`{row.name}`",
            f"`{exposed(row.name, row.unit)}{'_total' if row.kind == 'counter' else ''}`",
            f"{KINDS[row.kind]}, `{row.unit}`",
            _beyond(row.labels),
            row.help,
        )
        for row in METRICS
    )
    return _table(("OpenTelemetry", "Prometheus", "kind, unit", "labels", "what"), rows)


def _histograms() -> str:
    rows = (
        (f"`{row.name}`", f"`{exposed(row.name, row.unit)}`", _beyond(row.labels), _numbers(row.buckets), row.help)
        for row in HISTOGRAMS
    )
    return _table(("OpenTelemetry", "Prometheus", "labels", "buckets, `s`", "what"), rows)


def _beyond(labels: tuple[str, ...]) -> str:
    if labels[: len(COMMON)] != COMMON:
        return _codes(labels)
    return ", ".join(["the common ones", *(f"`{label}`" for label in labels[len(COMMON) :])])


def _genai() -> str:
    rows = (
        (f"`{row.name}`", f"histogram, `{row.unit}`", _codes(row.labels), _numbers(row.buckets), row.help)
        for row in GENAI_METRICS
    )
    return _table(("metric", "kind, unit", "attributes", "buckets", "what"), rows)


def _attributes() -> str:
    rows = (
        (f"`{name}`", kind, ", ".join(filter(None, [where, "metric" if name in _labels() else ""])), text)
        for name, (kind, where, text) in ATTRIBUTES.items()
    )
    return _table(("attribute", "type", "on", "meaning"), rows)


def _labels() -> set[str]:
    return {label for row in (*METRICS, *HISTOGRAMS, *GENAI_METRICS) for label in row.labels}


def _of_calls() -> list[str]:
    """What the providers' readers give beside the names above."""
    found = {
        name for path in SOURCES for name in re.findall(r'"((?:gen_ai|server)\.[a-z_.]+)"', path.read_text("utf-8"))
    }
    return sorted(found - set(ATTRIBUTES))


def _codes(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _numbers(numbers: Iterable[float]) -> str:
    return ", ".join(f"{number:.12g}" for number in numbers)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rows))


def main() -> int:
    """Writes the page, and what README.md has of it."""
    for path, text in ((PAGE, page()), (README, readme(README.read_text(encoding="utf-8")))):
        path.write_text(text, encoding="utf-8")
        print(f"{path.name}: {len(text):,} characters")
    return 0


if __name__ == "__main__":
    sys.exit(main())
