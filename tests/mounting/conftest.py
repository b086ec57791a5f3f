"""The hosts: all are started at once, and each test waits only for its own."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest

from tests.mounting.serving import FRAMEWORKS, SERVERS, Host, start

PAIRS = [(server, framework) for server in SERVERS for framework in FRAMEWORKS]


@pytest.fixture(scope="session")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Host]]:
    folder = tmp_path_factory.mktemp("hosts")
    found = {"-".join(pair): start(*pair, folder / "-".join(pair)) for pair in PAIRS}
    yield found
    for host in found.values():
        host.process.terminate()
    for host in found.values():
        host.process.wait(20)


@pytest.fixture(params=["-".join(pair) for pair in PAIRS])
def host(request: pytest.FixtureRequest, hosts: dict[str, Host]) -> Host:
    """Each framework under each server."""
    found = hosts[request.param]
    found.wait()
    return found


@pytest.fixture
def http(host: Host) -> Iterator[httpx2.Client]:
    """A client of midspan below its prefix in the host."""
    with httpx2.Client(base_url=host.midspan, timeout=20, verify=False) as client:
        yield client
