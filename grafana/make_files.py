"""Writes what of this folder is generated (make dashboards): the dashboards, the rules, and Grafana's provisioning."""

from pathlib import Path

from midspan.grafana.export import FORMATS, files
from midspan.grafana.options import Options

HERE = Path(__file__).parent


def built() -> dict[str, str]:
    """The text of every generated file, by its path in this folder."""
    found: dict[str, str] = {}
    for name in FORMATS:
        found |= files(Options(), name)
    return found


if __name__ == "__main__":
    for path, text in built().items():
        (HERE / path).parent.mkdir(parents=True, exist_ok=True)
        (HERE / path).write_text(text, encoding="utf-8")
