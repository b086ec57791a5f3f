"""`midspan watch`: ask a provider for one of its jobs until that has ended, and show it meanwhile."""

from __future__ import annotations

import os
from collections.abc import Sequence

import msgspec

from midspan.cli.row import Row
from midspan.cli.run import check_settings
from midspan.cli.screens import Lines, Quiet, tell
from midspan.cli.summary import summary
from midspan.cli.wrong_use import Parser, WrongUseError
from midspan.core import wire
from midspan.core.text import clean
from midspan.runtime import wiring
from midspan.runtime.watching import JobSnapshots

INTERRUPTED = 130
_STATUSES = {"completed": 0}


def main(arguments: Sequence[str]) -> int:
    """Watches a job; returns 0 once it has completed, 1 for any other end, 130 after Ctrl+C. Raises WrongUseError."""
    options = _parser().parse_args(arguments)
    trace_template = check_settings(dict(os.environ), "watch").trace_url
    try:
        found = _found(options.provider, options.job_id, options.kind)
        # As for an application: what the settings ask for tells of the job too.
        wiring.boot()
        row = _follow(found, Quiet() if options.quiet else Lines())
    except KeyboardInterrupt:
        tell(f"not watched any more; the job goes on at {options.provider}")
        return INTERRUPTED
    if row is None:
        return 1
    if not options.quiet:
        for text in summary([row], trace_template):
            tell(text)
    return _STATUSES.get(row.status, 1)


def _parser() -> Parser:
    parser = Parser(
        prog="midspan watch",
        usage="midspan watch PROVIDER JOB_ID [--kind KIND] [--quiet]   (midspan watch openai batch_...)",
        description="Asks the provider with its own SDK, whose settings (OPENAI_API_KEY, OPENAI_BASE_URL and so on) are"
        " read from the environment, first after a second and later every 30, until the job has ended.",
        epilog="exit status: 0 completed, 1 failed, cancelled or refused, 2 for wrong use, 130 after Ctrl+C;"
        " the job itself is never touched",
        allow_abbrev=False,
    )
    parser.add_argument("provider", metavar="PROVIDER", help="whose job it is: openai, anthropic, google_genai ...")
    parser.add_argument("job_id", metavar="JOB_ID", help="the job's id, as the provider tells it")
    parser.add_argument("--kind", help="what it is, where its id does not say: batch, fine_tuning ...")
    parser.add_argument("--quiet", action="store_true", help="show nothing: the exit status tells")
    return parser


def _found(provider: str, job_id: str, kind: str | None) -> JobSnapshots:
    try:
        return wiring.watch_job_by_name(provider, job_id, kind)
    except ImportError as error:
        raise WrongUseError(f"watch: the SDK of {provider} is not installed: {error}") from None
    except Exception as error:
        # The SDK's own words for a setting that it lacks.
        raise WrongUseError(f"watch: {_in_a_line(error)}") from None


def _follow(snapshots: JobSnapshots, screen: Quiet) -> Row | None:
    """Shows the job until it has ended; None where the provider could not be asked."""
    row = None
    snapshots.on_trouble = lambda trouble: tell(f"asking again, because of {trouble}")
    try:
        for operation in snapshots:
            row = msgspec.json.decode(wire.encode(operation), type=Row)
            screen.show(row)
    except Exception as error:
        tell(f"{type(error).__name__}: {_in_a_line(error)}")
        return None
    return row


def _in_a_line(error: Exception) -> str:
    return clean(" ".join(str(error).split())) or type(error).__name__
