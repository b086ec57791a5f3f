"""The application that is scraped in a process of its own, and what it has pushed in the terms of Prometheus."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

from midspan.telemetry.prometheus import exposed
from tests.collector.prometheus_server import Points, job, series
from tests.collector.receiver import Service, attributes, points
from tests.environ import clean_environ
from tests.fakes.openai_server import FakeOpenAI
from tests.programs import free_port

APP = Path(__file__).with_name("scraped_app.py")
TOKEN = "not-a-secret"
JOBS = ("metrics", "api", "own")
"""MIDSPAN_METRICS, the API with its token, and the application's own `/metrics`."""


class App:
    """The application under `midspan run`, with its three pages."""

    def __init__(self, fake: FakeOpenAI, **environ: str) -> None:
        self.ports = {name: free_port() for name in JOBS}
        command = [sys.executable, "-m", "midspan", "run", "--quiet", "--server", f"127.0.0.1:{self.ports['api']}"]
        self.process = subprocess.Popen(
            [*command, "--", sys.executable, str(APP), str(self.ports["own"])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=clean_environ(
                OPENAI_BASE_URL=fake.base_url,
                OPENAI_API_KEY="none",
                MIDSPAN_TOKEN=TOKEN,
                MIDSPAN_METRICS=f"127.0.0.1:{self.ports['metrics']}",
                **environ,
            ),
        )

    def say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def hear(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def serves(self) -> bool:
        """Whether its metrics can be had by now."""
        try:
            return bool(self.page())
        except OSError:
            return False

    def page(self, name: str = "metrics") -> str:
        with urlopen(f"http://127.0.0.1:{self.ports[name]}/metrics", timeout=10) as answer:
            return answer.read().decode()

    def jobs(self) -> list[dict[str, Any]]:
        """What Prometheus has to be told of it; `closed` comes without the token."""
        holder = {"authorization": {"credentials": TOKEN}}
        plain = [job(name, self.ports[name]) for name in ("metrics", "own")]
        return [*plain, job("api", self.ports["api"], **holder), job("closed", self.ports["api"])]


@contextmanager
def running_app(fake: FakeOpenAI, **environ: str) -> Generator[App]:
    """The application for the time of the block; it ends with its standard input."""
    app = App(fake, **environ)
    with app.process:
        try:
            yield app
            assert app.process.stdin is not None
            app.process.stdin.close()
            assert app.process.wait(timeout=30) == 0
        finally:
            app.process.terminate()


# --- what was pushed, as Prometheus would have it ---------------------------------------------------


def pushed(service: Service) -> Points:
    """Every number of midspan's metrics in the newest export."""
    ours = [metric for name, metric in service.metrics.items() if name.startswith("midspan.")]
    return {series(labels): value for metric in ours for labels, value in samples(metric)}


def samples(metric: Metric) -> Iterator[tuple[dict[str, str], float]]:
    name = exposed(metric.name, metric.unit) + ("_total" if metric.sum.is_monotonic else "")
    for point in points(metric):
        labels = {exposed(key): str(value) for key, value in attributes(point.attributes).items()}
        if not metric.HasField("histogram"):
            yield {"__name__": name, **labels}, float(getattr(point, point.WhichOneof("value")))
            continue
        counts: list[int] = list(point.bucket_counts)
        for bound, count in zip([*point.explicit_bounds, "inf"], accumulate(counts), strict=True):
            yield {"__name__": f"{name}_bucket", **labels, "le": str(bound)}, float(count)
        yield {"__name__": f"{name}_sum", **labels}, point.sum
        yield {"__name__": f"{name}_count", **labels}, float(point.count)
