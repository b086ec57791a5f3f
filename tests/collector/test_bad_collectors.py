"""Collectors that are slow, that hang, and that are not there: the calls do not wait, and nothing is lost."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.collector.collectors import exporting, rotel
from tests.collector.receiver import Receiver, Service, attributes, listening, points
from tests.environ import clean_environ
from tests.fakes.openai_server import FakeOpenAI
from tests.programs import free_port

APP = Path(__file__).with_name("calling_app.py")
ANSWERS = ["It works.", "BadRequestError"] * 50

Eventually = Callable[[Callable[[], object], float], None]


@contextmanager
def calling(endpoint: str, protocol: str = "grpc") -> Generator[dict[str, str]]:
    """The application when it has made its calls, still running; gives each operation's status by its id."""
    command = [sys.executable, "-m", "midspan", "run", "--quiet", "--server", "off", "--", sys.executable, str(APP)]
    more = {"OPENAI_API_KEY": "none", "OTEL_SERVICE_NAME": "calling", "OTEL_EXPORTER_OTLP_TIMEOUT": "30"}
    with FakeOpenAI() as fake, subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # the exporter's own complaints
        text=True,
        env=clean_environ(OPENAI_BASE_URL=fake.base_url, **more, **exporting(endpoint, protocol)),
    ) as process:  # fmt: skip
        assert process.stdin is not None and process.stdout is not None
        answers, operations = json.loads(process.stdout.readline())
        assert answers == ANSWERS
        yield operations
        process.stdin.close()
        assert process.wait(timeout=30) == 0


def ids(service: Service, event: str | None = None) -> list[str]:
    """The operations of the spans that have come, or of the log records of an event."""
    rows = service.spans if event is None else [row for row in service.logs if row.event_name.endswith(event)]
    return sorted(attributes(row.attributes)["midspan.operation.id"] for row in rows)


def has_all(service: Service, operations: dict[str, str]) -> bool:
    """Every span, an ending for each failure, and the final count; each once."""
    failed = sorted(name for name, status in operations.items() if status == "failed")
    metric = service.metrics.get("midspan.operation.ended")
    counted = 0 if metric is None else sum(point.as_int for point in points(metric))
    return ids(service) == sorted(operations) and ids(service, ".end") == failed and counted == len(operations)


def test_a_hanging_collector_holds_up_no_call_and_gets_everything_when_it_goes_on(eventually: Eventually) -> None:
    receiver = Receiver()
    receiver.hold()
    service = receiver.service("calling")
    with listening(receiver) as endpoint, calling(endpoint) as operations:
        eventually(lambda: receiver.held >= 3, 20.0)
        assert (service.spans, service.logs, service.metrics) == ([], [], {})
        receiver.release()
        eventually(lambda: has_all(service, operations), 30.0)


def test_a_slow_collector_holds_up_no_call_and_gets_everything(eventually: Eventually) -> None:
    receiver = Receiver()
    receiver.delay = 0.3
    service = receiver.service("calling")
    with listening(receiver) as endpoint, calling(endpoint) as operations:
        eventually(lambda: has_all(service, operations), 30.0)


def test_a_collector_that_is_not_there_holds_up_no_call_and_gets_everything_when_it_comes(
    eventually: Eventually,
) -> None:
    receiver, port = Receiver(), free_port()
    service = receiver.service("calling")
    with ExitStack() as stack:
        target = stack.enter_context(listening(receiver))
        with calling(f"http://127.0.0.1:{port}", "http/protobuf") as operations:
            stack.enter_context(rotel(target, port))
            eventually(lambda: has_all(service, operations), 30.0)
