"""A real Prometheus that scrapes the applications of a test, and what can be asked of it."""

from __future__ import annotations

import json
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

from tests.programs import free_port, program, running

INTERVAL = "500ms"
Labels = frozenset[tuple[str, str]]
Points = dict[tuple[str, Labels], float]
"""Every number by the name of its series and its labels, those of the scrape left out."""


@dataclass(frozen=True)
class Prometheus:
    """Where it listens; `said` has what it wrote on stderr once it has ended."""

    url: str
    said: list[str]

    def ask(self, path: str, **parameters: str) -> Any:
        """The data of an answer of its API."""
        with urlopen(f"{self.url}/api/v1/{path}?{urlencode(parameters)}", timeout=10) as answer:
            return json.load(answer)["data"]

    def points(self, selector: str) -> Points:
        """What an instant query finds now."""
        found = self.ask("query", query=selector)["result"]
        return {series(row["metric"]): float(row["value"][1]) for row in found}

    def exemplars(self, name: str) -> list[dict[str, str]]:
        """The labels of the exemplars of the last hour."""
        now = time.time()
        found = self.ask("query_exemplars", query=name, start=str(now - 3600), end=str(now + 1))
        return [exemplar["labels"] for row in found for exemplar in row["exemplars"]]


def series(labels: dict[str, str]) -> tuple[str, Labels]:
    """Name and labels, without those of the scrape; a bucket's bound as the number it is."""
    told = {key: value for key, value in labels.items() if key not in ("__name__", "job", "instance")}
    if "le" in told:
        told["le"] = str(float(told["le"]))
    return labels["__name__"], frozenset(told.items())


@contextmanager
def scraping(folder: Path, *jobs: dict[str, Any]) -> Generator[Prometheus]:
    """Prometheus with exemplar storage for the time of the block; `jobs` as in `scrape_configs`."""
    config, port = folder / "prometheus.yml", free_port()
    interval = {"scrape_interval": INTERVAL, "scrape_timeout": INTERVAL}
    config.write_text(json.dumps({"global": interval, "scrape_configs": list(jobs)}))  # JSON is YAML, too
    command = [program("prometheus"), f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--enable-feature=exemplar-storage", "--log.level=warn"]
    url = f"http://127.0.0.1:{port}"
    with running(command, f"{url}/-/ready") as said:
        yield Prometheus(url, said)


def job(name: str, port: int, **more: Any) -> dict[str, Any]:
    """One application on loopback to be scraped."""
    return {"job_name": name, "static_configs": [{"targets": [f"127.0.0.1:{port}"]}], **more}
