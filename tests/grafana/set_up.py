"""A real application, scraped by a real Prometheus that has midspan's rules: what the dashboards are looked at with."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from midspan.grafana import rules
from midspan.grafana.options import Options
from tests.collector.prometheus_server import INTERVAL, Prometheus, job
from tests.environ import clean_environ
from tests.fakes.openai_server import FakeOpenAI
from tests.programs import free_port, program, running

APP = Path(__file__).with_name("busy_app.py")


@dataclass(frozen=True)
class SetUp:
    """The Prometheus, and the application that begins to work when it is told to."""

    prometheus: Prometheus
    app: subprocess.Popen[str]

    def begin(self) -> None:
        """Let the application work from now on."""
        assert self.app.stdin is not None
        self.app.stdin.write("begin\n")
        self.app.stdin.flush()


@contextmanager
def set_up(folder: Path) -> Generator[SetUp]:
    """Everything, with an application that has not done anything yet."""
    with ExitStack() as stack:
        fake, port = stack.enter_context(FakeOpenAI()), free_port()
        app = stack.enter_context(_app(port, fake))
        prometheus = stack.enter_context(_prometheus(folder, port))
        yield SetUp(prometheus, app)


@contextmanager
def _app(port: int, fake: FakeOpenAI) -> Generator[subprocess.Popen[str]]:
    environ = clean_environ(OPENAI_BASE_URL=fake.base_url, OPENAI_API_KEY="none")
    command = [sys.executable, str(APP), str(port)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, text=True, env=environ, **pipes) as app:
        try:
            assert app.stdout is not None and app.stdout.readline() == "cold\n"
            yield app
            assert app.stdin is not None
            app.stdin.close()
            assert app.wait(timeout=30) == 0
        finally:
            app.kill()


@contextmanager
def _prometheus(folder: Path, port: int) -> Generator[Prometheus]:
    listening, rule_file = free_port(), folder / "midspan.yaml"
    rule_file.write_text(rules.to_yaml(Options()))
    config = {
        "global": {"scrape_interval": INTERVAL, "scrape_timeout": INTERVAL, "evaluation_interval": "1s"},
        "rule_files": [str(rule_file)],
        "scrape_configs": [job("app", port), job("prometheus", listening)],
    }
    (folder / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML, too
    url = f"http://127.0.0.1:{listening}"
    command = [program("prometheus"), f"--config.file={folder / 'prometheus.yml'}"]
    command += [f"--storage.tsdb.path={folder / 'tsdb'}", f"--web.listen-address=127.0.0.1:{listening}"]
    command += ["--enable-feature=exemplar-storage", "--log.level=warn"]
    with running(command, f"{url}/-/ready") as said:
        yield Prometheus(url, said)
