"""Several processes under one `midspan run`: the first serves on both addresses, the others say so and push."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.collector.collectors import rotel
from tests.collector.receiver import Receiver, Service, attributes, listening, points
from tests.processes.programs import clean_environ

Eventually = Callable[..., None]
TOKEN = "sesame"
NAMES = ("first", "fork", "spawn")

PROGRAM = """
import json, multiprocessing, os, sys
import midspan

def work(name, go=None):
    with midspan.ProgressTracker(name=name, total_steps=2) as tracker:
        tracker.update(1)
        if go is not None:
            go.wait(60)

if __name__ == "__main__":
    from midspan.runtime.wiring import runtime
    started = []
    with midspan.ProgressTracker(name="first", total_steps=2) as tracker:
        tracker.update(1)
        for method in ("fork", "spawn"):
            context = multiprocessing.get_context(method)
            go = context.Event()
            child = context.Process(target=work, args=(method, go))
            child.start()
            started.append((child, go))
        alive = runtime()
        pids = [child.pid for child, _ in started]
        print(json.dumps([alive.serving.server.url, alive.serving.metrics_server.url, os.getpid(), *pids]), flush=True)
        sys.stdin.readline()
    for child, go in started:
        go.set()
        child.join()
"""


@dataclass
class Running:
    """The program, where it listens, its processes, what it has said, and what it has pushed."""

    process: subprocess.Popen[str]
    api: str
    metrics: str
    pids: list[int]
    lines: list[str]
    receiver: Receiver

    def said_of(self, pid: int) -> list[str]:
        return [line for line in self.lines if f"operations of process {pid} are not seen" in line]

    def instances(self) -> list[Service]:
        return [service for service in list(self.receiver.instances.values()) if service.metrics]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    script = tmp_path_factory.mktemp("several") / "program.py"
    script.write_text(PROGRAM)
    receiver = Receiver()
    with ExitStack() as stack:
        collector = stack.enter_context(rotel(stack.enter_context(listening(receiver))))
        process = stack.enter_context(started(script, collector.environ("http/protobuf", "none")))
        stack.callback(process.kill)
        lines: list[str] = []
        assert process.stdout is not None and process.stderr is not None
        reader = threading.Thread(target=lines.extend, args=(process.stderr,))
        reader.start()
        stack.callback(reader.join, 20)
        api, metrics, *pids = json.loads(process.stdout.readline())
        yield Running(process, api, metrics, pids, lines, receiver)
        process.communicate("\n", timeout=60)
        assert process.returncode == 0, lines
        assert "Traceback" not in "".join(lines)


def started(script: Path, exporters: dict[str, str]) -> subprocess.Popen[str]:
    settings = {
        "MIDSPAN_METRICS": "127.0.0.1:0",
        "MIDSPAN_ALLOWED_HOSTS": "box.internal",
        "MIDSPAN_TOKEN": TOKEN,
    }
    return subprocess.Popen(
        [sys.executable, "-m", "midspan", "run", "--server", "127.0.0.1:0", "--", sys.executable, str(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=clean_environ(**settings, **exporters),
    )


def status(url: str, **headers: str) -> int:
    """The status of an answer."""
    try:
        with urlopen(Request(url, headers=headers), timeout=20) as answer:
            return answer.status
    except HTTPError as error:
        return error.code


def active(service: Service) -> dict[str, int]:
    """How many operations run, by name, as a process has pushed it."""
    found: dict[str, int] = {}
    metric = service.metrics.get("midspan.operation.active")
    for point in () if metric is None else points(metric):
        name = attributes(point.attributes)["midspan.operation.name"]
        found[name] = found.get(name, 0) + point.as_int
    return found


def test_each_process_that_does_not_serve_says_so_in_one_line(program: Running, eventually: Eventually) -> None:
    first, *others = program.pids
    eventually(lambda: all(program.said_of(pid) for pid in others), 20.0)
    for pid in others:
        (line,) = program.said_of(pid)
        assert f"process {first} of this run serves" in line
    assert program.said_of(first) == []


def test_every_process_pushes_its_own_operations_and_nobody_elses(program: Running, eventually: Eventually) -> None:
    def pushed() -> list[dict[str, int]]:
        return [active(service) for service in program.instances()]

    wanted: list[dict[str, int]] = [{name: 1} for name in NAMES]
    eventually(lambda: sorted(pushed(), key=str) == wanted, 30.0, lambda: (pushed(), program.lines))


def test_the_api_of_the_first_shows_its_own_to_whoever_has_the_token(program: Running) -> None:
    request = Request(f"{program.api}/v1/operations", headers={"Authorization": f"Bearer {TOKEN}"})
    with urlopen(request, timeout=20) as answer:
        found: Any = json.load(answer)
    assert [operation["name"] for operation in found["operations"]] == ["first"]


@pytest.mark.parametrize("path", ["/metrics", "/v1/operations"])
def test_the_main_address_wants_a_token_and_a_known_host(program: Running, path: str) -> None:
    url, token = program.api + path, {"Authorization": f"Bearer {TOKEN}"}
    assert status(url) == status(url, Authorization="Bearer wrong") == 401
    assert status(url, **token) == status(url, **token, Host="box.internal") == 200
    assert status(url, **token, Host="evil.example") == 421


@pytest.mark.parametrize("path", ["/metrics", "/healthz", "/readyz"])
def test_the_address_of_the_metrics_is_probed_and_scraped_as_kubernetes_does(program: Running, path: str) -> None:
    url = program.metrics + path
    assert status(url) == status(url, Host="10.1.2.3:9464") == 200
    assert status(url, **{"User-Agent": "kube-probe/1.31", "Accept": "*/*", "Connection": "close"}) == 200


def test_the_address_of_the_metrics_shows_no_operation(program: Running) -> None:
    assert status(f"{program.metrics}/v1/operations", Authorization=f"Bearer {TOKEN}") == 404


def test_the_metrics_are_those_of_the_process_that_serves(program: Running) -> None:
    with urlopen(f"{program.metrics}/metrics", timeout=20) as answer:
        page = answer.read().decode()
    assert set(re.findall(r'midspan_operation_started_total\{.*?midspan_operation_name="(\w+)"', page)) == {"first"}
