"""Beside PROMETHEUS_MULTIPROC_DIR: what one page of several workers shows of midspan, and what all of them push."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.collector.collectors import rotel
from tests.collector.receiver import Receiver, Service, listening, points
from tests.environ import FORK_WARNING
from tests.fakes.openai_server import FakeOpenAI
from tests.programs import free_port, running

Eventually = Callable[[Callable[[], object], float], None]
WORKERS = 2


def ask(url: str) -> tuple[int, dict[str, float]]:
    """The worker that has answered, and the values of the page by name."""
    with urlopen(url, timeout=20) as answer:
        worker, text = int(answer.headers["X-Worker"]), answer.read().decode()
    return worker, {sample.name: sample.value for row in text_string_to_metric_families(text) for sample in row.samples}


def until_all_have_answered(url: str) -> tuple[Counter[int], dict[int, dict[str, float]]]:
    """How often each worker has answered, and its newest page."""
    answered: Counter[int] = Counter()
    pages: dict[int, dict[str, float]] = {}
    while len(answered) < WORKERS or answered.total() < 10:
        assert answered.total() < 2_000, "one worker takes every request"
        worker, pages[worker] = ask(url)
        answered[worker] += 1
    return answered, pages


def started(service: Service) -> float:
    metric = service.metrics.get("midspan.operation.started")
    return 0 if metric is None else sum(point.as_int for point in points(metric))


@pytest.mark.skipif(find_spec("gunicorn") is None, reason="gunicorn is not installed")
def test_a_page_shows_the_apps_own_sums_and_the_operations_of_one_worker_and_every_worker_pushes_its_own(
    tmp_path: Path, eventually: Eventually
) -> None:
    receiver, port = Receiver(), free_port()
    address = f"127.0.0.1:{port}"
    command = [sys.executable, "-m", "midspan", "run", "--quiet", "--server", "off", "--", sys.executable, "-m"]
    command += ["gunicorn", "--workers", str(WORKERS), "--bind", address, "--no-control-socket"]
    command += ["--chdir", str(Path(__file__).parent), "worker_app:wsgi"]
    with ExitStack() as stack:
        fake = stack.enter_context(FakeOpenAI())
        collector = stack.enter_context(rotel(stack.enter_context(listening(receiver))))
        environ = {"OPENAI_BASE_URL": fake.base_url, "OPENAI_API_KEY": "none", "PYTHONWARNINGS": FORK_WARNING}
        environ |= {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path), "OTEL_SERVICE_NAME": "workers"}
        environ |= collector.environ("http/protobuf", "none")
        stack.enter_context(running(command, f"http://{address}/ready", **environ))
        asked, _ = until_all_have_answered(f"http://{address}/ask")
        _, pages = until_all_have_answered(f"http://{address}/metrics")
        assert {page["app_questions_total"] for page in pages.values()} == {asked.total()}
        assert {worker: page["midspan_operation_started_total"] for worker, page in pages.items()} == dict(asked)

        def pushed() -> list[float]:
            return sorted(filter(None, (started(service) for service in list(receiver.instances.values()))))

        eventually(lambda: pushed() == sorted(asked.values()), 20.0)
