"""The set-up of `compose.yaml`, by every check that needs no Docker."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any
from urllib.request import urlopen

import pytest
import yaml

from grafana.make_files import HERE
from tests.environ import clean_environ
from tests.grafana.reading import FOLDER
from tests.programs import free_port, program

Eventually = Callable[[Callable[[], object], float], None]


def document(path: str) -> Any:
    return yaml.safe_load((HERE / path).read_text("utf-8"))


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    return document("compose.yaml")["services"]


def host(url: str) -> str:
    """The service that an address names."""
    return url.removeprefix("http://").partition(":")[0]


def test_there_is_a_service_for_everything_with_an_exact_version(services: dict[str, Any]) -> None:
    assert set(services) == {"app", "collector", "prometheus", "alertmanager", "tempo", "loki", "grafana"}
    assert [name for name, one in services.items() if one["image"].partition(":")[2] in ("", "latest")] == []
    assert {name for one in services.values() for name in one.get("depends_on", ())} <= set(services)


def test_what_is_mounted_is_there(services: dict[str, Any]) -> None:
    mounted = [volume.split(":")[0] for one in services.values() for volume in one.get("volumes", ())]
    assert len(mounted) == 8
    assert [path for path in mounted if not (HERE / path).exists()] == []


def test_ports_are_on_loopback_alone(services: dict[str, Any]) -> None:
    ports = [port for one in services.values() for port in one.get("ports", ())]
    assert len(ports) == 3 and all(port.startswith("127.0.0.1:") for port in ports)


def test_promtool_finds_nothing_to_mend_in_the_configuration() -> None:
    command = [program("promtool"), "check", "config", str(HERE / "prometheus.yml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_scrapes_what_the_application_serves(services: dict[str, Any]) -> None:
    prometheus = document("prometheus.yml")
    targets = [target for one in prometheus["scrape_configs"] for target in one["static_configs"][0]["targets"]]
    port = services["app"]["environment"]["MIDSPAN_METRICS"].partition(":")[2]
    assert targets == [f"app:{port}", "localhost:9090"]
    assert prometheus["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] == ["alertmanager:9093"]


def test_the_collector_takes_what_the_application_sends_and_hands_it_on(services: dict[str, Any]) -> None:
    collector = document("collector.yaml")
    endpoint = services["app"]["environment"]["OTEL_EXPORTER_OTLP_ENDPOINT"]
    assert host(endpoint) == "collector" and collector["receivers"]["otlp"]["protocols"]["http"]["endpoint"].endswith(
        endpoint.rpartition(":")[2]
    )
    assert {host(one["endpoint"]) for one in collector["exporters"].values()} == {"tempo", "loki"}
    for pipeline in collector["service"]["pipelines"].values():
        for kind in ("receivers", "processors", "exporters"):
            assert set(pipeline[kind]) <= set(collector[kind])
    assert document("tempo.yaml")["distributor"]["receivers"]["otlp"]["protocols"].keys() == {"grpc"}


def test_tempo_keeps_traces_where_it_may_write(services: dict[str, Any]) -> None:
    writable = [folder.removesuffix(":mode=1777") for folder in services["tempo"]["tmpfs"]]
    kept = document("tempo.yaml")["storage"]["trace"]
    assert [kept["local"]["path"], kept["wal"]["path"]] == [f"{writable[0]}/traces", f"{writable[0]}/wal"]


def test_grafana_finds_its_data_sources_and_the_dashboards(services: dict[str, Any]) -> None:
    for source in document("provisioning/datasources/midspan.yaml")["datasources"]:
        assert host(source["url"]) in services
    path = document("provisioning/dashboards/midspan.yaml")["providers"][0]["options"]["path"]
    mounted = dict(volume.split(":")[:2] for volume in services["grafana"]["volumes"])
    assert mounted["./dashboards"] == path and (HERE / "dashboards") == FOLDER
    port = document("tempo.yaml")["server"]["http_listen_port"]
    tempo = next(
        one for one in document("provisioning/datasources/midspan.yaml")["datasources"] if one["type"] == "tempo"
    )
    assert tempo["url"].endswith(f":{port}")


def test_the_example_has_operations_to_show(eventually: Eventually) -> None:
    port = free_port()
    command = [sys.executable, "-m", "midspan", "run", "--quiet", "--server", "off", "--", sys.executable]
    environ = clean_environ(MIDSPAN_METRICS=f"127.0.0.1:{port}")
    with subprocess.Popen([*command, str(HERE / "example.py")], env=environ) as app:
        try:
            eventually(lambda: _page(port).count("midspan_operation_active{") >= 3, 20.0)
        finally:
            app.terminate()


def _page(port: int) -> str:
    try:
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            return answer.read().decode()
    except OSError:
        return ""
