"""What somebody's own set-up may change about the dashboards and the rules; every value is checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Final

from midspan.core.operation import OperationType

JOB_LABELS: Final[Mapping[str, str]] = {
    "job": "instance",
    "exported_job": "exported_instance",
    "service_name": "service_instance_id",
    "service": "instance",
    "app": "instance",
}
"""Labels that can name an application in Prometheus, each with the label that tells its processes apart.

The first is a scrape's own; `exported_*` is what a scraped collector passes on, `service_*` what OTLP makes of
OpenTelemetry's resource in other back ends, and the rest are what relabelling on Kubernetes makes.
"""

OVERVIEW: Final = "midspan-overview"
OPERATIONS: Final = "midspan-operations"
SLO: Final = "midspan-slo"
EXPORTER: Final = "midspan-exporter"
LOGS: Final = "midspan-logs"
"""The uids of the dashboards, by which rules and dashboards link to them."""

ALERTS: Final = "Midspan"
"""What the name of every alert begins with."""


class BadOptionError(ValueError):
    """A value that the dashboards or the rules cannot be written with. The message says what is accepted."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From where on something is worth a colour or an alert."""

    failure_ratio: float = 0.05
    """Share of ended operations that failed, from 0 to 1."""
    first_chunk: float = 5.0
    """Seconds to the first chunk of an answer, 95th percentile."""
    retry_ratio: float = 0.5
    """Failed attempts for each attempt made, from 0 to 1."""
    lost_after: float = 30.0
    """Seconds for which a process must be gone until its operations are lost; more than one scrape that may fail."""

    def __post_init__(self) -> None:
        for name in ("failure_ratio", "retry_ratio"):
            value: float = getattr(self, name)
            if not 0 < value <= 1:
                raise BadOptionError(f"threshold {name}={value:g}: accepted is a share above 0 and up to 1")
        if not 0 < self.first_chunk < float("inf"):
            raise BadOptionError(f"threshold first_chunk={self.first_chunk:g}: accepted are seconds above 0")
        if not 0 <= self.lost_after <= 90:
            raise BadOptionError(
                f"threshold lost_after={self.lost_after:g}: accepted are up to 90 seconds, 0 for at once"
            )


THRESHOLDS: Final = tuple(one.name for one in fields(Thresholds))


@dataclass(frozen=True, slots=True)
class Options:
    """One set-up. Raises BadOptionError for a value that is not accepted."""

    job_label: str = "job"
    """The label that names an application, one of `JOB_LABELS`."""
    slo: float = 0.99
    """The share of ended operations that must not fail, between 0 and 1."""
    critical: tuple[str, ...] = (OperationType.BATCH, OperationType.FINE_TUNING)
    """Operation types of which one failure, or one lost operation, is an alert."""
    datasource: str = ""
    """The name of the Prometheus data source that is chosen at first; empty for Grafana's default."""
    folder: str = "midspan"
    """Grafana's folder for the dashboards."""
    thresholds: Thresholds = field(default_factory=Thresholds)
    grafana_url: str = "http://localhost:3000"
    """Where Grafana is, for the links in alerts; without a slash at the end."""
    runbooks_url: str = "runbooks"
    """Where the runbooks are; an alert's name and `.md` are appended. By default their path in what is exported: nobody
    but the user knows under which address they put them."""

    def __post_init__(self) -> None:
        if self.job_label not in JOB_LABELS:
            raise BadOptionError(f"job label {self.job_label!r}: accepted are {', '.join(JOB_LABELS)}")
        if not 0 < self.slo < 1:
            raise BadOptionError(f"SLO {self.slo:g}: accepted is a share between 0 and 1, as 0.99 is")
        for name in self.critical:
            if name not in set(OperationType):
                raise BadOptionError(f"operation type {name!r}: accepted are {', '.join(OperationType)}")
        if not self.critical:
            raise BadOptionError(f"no critical operation type: accepted are {', '.join(OperationType)}")
        if not self.folder.strip() or "/" in self.folder:
            raise BadOptionError(f"folder {self.folder!r}: accepted is a name without '/'")

    @property
    def instance_label(self) -> str:
        """The label that tells the processes of one application apart."""
        return JOB_LABELS[self.job_label]

    @property
    def budget(self) -> float:
        """The share of ended operations that may fail."""
        return round(1 - self.slo, 12)
