"""`midspan run`: start a program, attached without a change, and show its operations while they run."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from midspan import settings
from midspan.cli import command
from midspan.cli.board import Board
from midspan.cli.child import Child, environment
from midspan.cli.reader import Reader, Screen
from midspan.cli.screens import Lines, LiveView, Quiet, tell
from midspan.cli.summary import summary
from midspan.cli.wrong_use import Parser, WrongUseError
from midspan.runtime import wiring

_WITH_VALUE = frozenset({"--server", "--events", "--output"})


@dataclass
class Watch:
    """One program to be watched: what is started, in which environment, and how it is shown."""

    words: list[str]
    env: dict[str, str]
    screen: Screen
    output: Path | None = None
    board: Board = field(default_factory=Board)

    def run(self) -> int:
        """Runs it to its end; returns its exit status. Raises WrongUseError if it cannot be started."""
        reading, writing = os.pipe()
        try:
            with self._output() as output:
                child = Child(self.words, self.env, writing, output)
        except BaseException:
            os.close(reading)
            raise
        finally:
            # Only the program may hold this end, or the reader would never see the end of the feed.
            os.close(writing)
        reader = Reader(reading, self.board, self.screen)
        reader.start()
        try:
            return child.wait()
        finally:
            reader.finish()
            child.restore()

    def _output(self) -> AbstractContextManager[IO[bytes] | None]:
        return nullcontext() if self.output is None else self.output.open("wb")


def main(arguments: Sequence[str]) -> int:
    """Runs the command of `arguments` and returns its exit status. Raises WrongUseError."""
    own, words = command.split(arguments, _WITH_VALUE)
    options = _parser().parse_args(own)
    env = environment(os.environ, server=options.server, events=options.events)
    trace_template = check_settings(env).trace_url
    words = command.resolve(words)
    output = _output_file(options.output) if options.view else None
    screen = _live_view(output) if output else Quiet() if options.quiet else Lines()
    watch = Watch(words, env, screen, output)
    status = watch.run()
    if not options.quiet:
        _tell(watch, trace_template)
    return status


def _parser() -> Parser:
    parser = Parser(
        prog="midspan run",
        usage="midspan run [options] -- COMMAND ...   (also: midspan run app.py, midspan run -m module)",
        description="Runs COMMAND and shows its LLM operations, on stderr. Its exit status is COMMAND's own.",
        allow_abbrev=False,
    )
    parser.add_argument("--server", metavar="HOST:PORT", help="where the API listens, or off (127.0.0.1:9465)")
    parser.add_argument("--events", help="where progress events go: span, log, span,log, or none")
    parser.add_argument("--view", action="store_true", help="a live full-screen table on the terminal")
    parser.add_argument("--output", metavar="FILE", help="with --view: the file for COMMAND's output")
    parser.add_argument("--quiet", action="store_true", help="show nothing")
    return parser


def check_settings(env: dict[str, str], command: str = "run") -> settings.Settings:
    """The settings of the program's midspan. Raises WrongUseError for one that it could not use."""
    try:
        found = settings.load(env)
        wiring.check(found)
    except settings.SettingsError as error:
        raise WrongUseError(f"{command}: {error}") from None
    return found


def _output_file(asked: str | None) -> Path:
    if not sys.stderr.isatty():
        raise WrongUseError("run: --view needs a terminal on stderr; without it there is one line a change")
    if asked is None:
        descriptor, made = tempfile.mkstemp(prefix="midspan-", suffix=".log")
        os.close(descriptor)
        return Path(made)
    try:
        Path(asked).touch()
    except OSError as error:
        raise WrongUseError(f"run: --output {asked} cannot be written: {error.strerror}") from None
    return Path(asked)


def _live_view(output: Path) -> LiveView:
    try:
        return LiveView(output, str(output))
    except ImportError:
        raise WrongUseError("run: --view needs the package rich: pip install 'midspan[run]'") from None


def _tell(watch: Watch, trace_template: str | None) -> None:
    for text in summary(watch.board.rows.values(), trace_template, watch.board.forgotten):
        tell(text)
    if watch.output is not None:
        tell(f"the output is in {watch.output}")
