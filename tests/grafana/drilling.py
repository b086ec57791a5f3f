"""The whole way of an alert: applications, Prometheus with the rules, Alertmanager with the example, and a webhook."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.request import Request, urlopen

from midspan.grafana import rule_alertmanager, rules
from midspan.grafana.options import Options, Thresholds
from midspan.grafana.yaml_text import dump
from tests.collector.prometheus_server import Prometheus, job
from tests.environ import clean_environ
from tests.programs import free_port, program, running

OPTIONS = Options(thresholds=Thresholds(lost_after=0))
"""As exported, but for the time that a missed scrape is waited for."""
SCRAPE = EVALUATION = "1s"


@dataclass(frozen=True)
class Told:
    """One alert as it came to the webhook: when (monotonic seconds), for which receiver, and what it says."""

    at: float
    receiver: str
    status: str
    labels: dict[str, str]
    annotations: dict[str, str]


@dataclass
class Webhook:
    """Everything that has come."""

    told: list[Told] = field(default_factory=list)

    def of(self, alert: str, status: str = "firing") -> list[Told]:
        """What has come about one alert, oldest first."""
        return [one for one in self.told if (one.labels["alertname"], one.status) == (alert, status)]

    def take(self, receiver: str, message: dict[str, Any]) -> None:
        at = monotonic()
        alerts = message["alerts"]
        self.told += [Told(at, receiver, one["status"], one["labels"], one["annotations"]) for one in alerts]


@dataclass(frozen=True)
class App:
    """`midspan serve`, which takes reports from outside as the runbooks' drills make them."""

    process: subprocess.Popen[str]
    port: int

    def report(self, path: str = "", method: str = "POST", **fields: Any) -> None:
        url = f"http://127.0.0.1:{self.port}/v1/operations{path}"
        headers = {"Content-Type": "application/json"}
        with urlopen(Request(url, json.dumps(fields).encode(), headers, method=method), timeout=10) as answer:
            answer.read()

    def start(self, name: str, **fields: Any) -> None:
        self.report(operation_id=name, operation_type="batch", name=name, **fields)

    def change(self, name: str, **fields: Any) -> None:
        self.report(f"/{name}", "PATCH", **fields)


@dataclass(frozen=True)
class Stage:
    """What a drill is made on: an application that stays, and one that may be killed."""

    stays: App
    killed: App
    prometheus: Prometheus
    webhook: Webhook


@contextmanager
def drilling(folder: Path) -> Generator[Stage]:
    """All of it for the time of the block."""
    with ExitStack() as stack:
        webhook = Webhook()
        hook = stack.enter_context(_listening(webhook))
        stays, killed = (stack.enter_context(serving()) for _ in range(2))
        manager = stack.enter_context(_alertmanager(folder, hook))
        jobs = [job("stays", stays.port), job("killed", killed.port)]
        prometheus = stack.enter_context(_prometheus(folder, manager, jobs))
        yield Stage(stays, killed, prometheus, webhook)


@contextmanager
def _listening(webhook: Webhook) -> Generator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            webhook.take(self.path.strip("/"), json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def serving(port: int | None = None) -> Generator[App]:
    """`midspan serve` for the time of the block, on `port`: as one that begins anew has it."""
    port = port or free_port()
    command = [sys.executable, "-m", "midspan", "serve", "--port", str(port)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "stdin": subprocess.DEVNULL}
    with subprocess.Popen(command, text=True, env=clean_environ(), **pipes) as process:
        try:
            assert process.stdout is not None and f":{port}" in process.stdout.readline()
            yield App(process, port)
        finally:
            process.kill()


@contextmanager
def _alertmanager(folder: Path, hook: int) -> Generator[int]:
    """With the example's routes and inhibitions; only the addresses are ours, and it does not gather first."""
    text, port = dump(rule_alertmanager.config(OPTIONS)), free_port()
    for shipped, ours in (
        ("127.0.0.1:9095", f"127.0.0.1:{hook}"),
        ('wait: "10s"', "wait: 0s"),
        ('val: "1m"', "val: 1s"),
    ):
        assert shipped in text
        text = text.replace(shipped, ours)
    file = folder / "alertmanager.yml"
    file.write_text(text)
    command = [program("alertmanager"), f"--config.file={file}", f"--storage.path={folder / 'alertmanager'}"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=", "--log.level=warn"]
    with running(command, f"http://127.0.0.1:{port}/-/ready"):
        yield port


@contextmanager
def _prometheus(folder: Path, manager: int, jobs: list[dict[str, Any]]) -> Generator[Prometheus]:
    file, port = folder / "rules.yaml", free_port()
    file.write_text(rules.to_yaml(OPTIONS))
    config = {
        "global": {"scrape_interval": SCRAPE, "scrape_timeout": SCRAPE, "evaluation_interval": EVALUATION},
        "rule_files": [str(file)],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{manager}"]}]}]},
        "scrape_configs": jobs,
    }
    (folder / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML, too
    url = f"http://127.0.0.1:{port}"
    command = [program("prometheus"), f"--config.file={folder / 'prometheus.yml'}", "--log.level=warn"]
    command += [f"--storage.tsdb.path={folder / 'tsdb'}", f"--web.listen-address=127.0.0.1:{port}"]
    with running(command, f"{url}/-/ready") as said:
        yield Prometheus(url, said)
