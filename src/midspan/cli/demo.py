"""`midspan demo`: a real model on loopback, and two programs that know nothing of midspan, seen while they run."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from midspan.cli.child import environment
from midspan.cli.model import Model, check_packages, examples, running_model
from midspan.cli.probe import Probe
from midspan.cli.row import Row
from midspan.cli.run import Watch, check_settings
from midspan.cli.screens import Lines, LiveView, tell
from midspan.cli.summary import summary
from midspan.cli.wrong_use import Parser, WrongUseError

APPS = ("chat.py", "many_calls.py")


def main(arguments: Sequence[str]) -> int:
    """Runs the demo; returns 0 when everything was seen, else what went wrong as a status. Raises WrongUseError."""
    parser = Parser(prog="midspan demo", description=__doc__, allow_abbrev=False)
    parser.add_argument("--lines", action="store_true", help="one line a change, on a terminal too")
    options = parser.parse_args(arguments)
    check_packages()
    folder = examples()
    tell("starting a model server (SmolLM2-135M on llama.cpp)")
    with running_model(folder / "model_server.py") as model:
        tell(f"the model answers on {model.base_url}")
        return _apps(folder, model, live=sys.stderr.isatty() and not options.lines)


def _apps(folder: Path, model: Model, live: bool) -> int:
    rows: list[Row] = []
    answered = True
    for app in APPS:
        tell(f"midspan run -- python examples/{app}")
        with _watch(folder / app, model, live) as watch:
            said: list[str] = []
            probe = Probe(watch.board, said.append if live else tell)
            probe.start()
            try:
                status = watch.run()
            finally:
                probe.finish()
        for text in said:
            tell(text)
        rows += watch.board.rows.values()
        answered = answered and probe.answered
        if status != 0:
            tell(f"examples/{app} ended with status {status}")
            return status
    tell("all together:")
    for text in summary(rows):
        tell(text)
    return 0 if answered else 1


@contextmanager
def _watch(app: Path, model: Model, live: bool) -> Generator[Watch]:
    """The program as `midspan run` would start it; with the live view its output is kept in a file meanwhile."""
    env = environment({**os.environ, **model.environment})
    check_settings(env)
    words = [sys.executable, str(app)]
    if not live:
        yield Watch(words, env, Lines())
        return
    with tempfile.TemporaryDirectory(prefix="midspan-demo-") as folder:
        output = Path(folder) / "output"
        try:
            view = LiveView(output, f"examples/{app.name}")
        except ImportError:
            raise WrongUseError("demo: the live view needs the package rich; `make demo` installs it") from None
        yield Watch(words, env, view, output)
