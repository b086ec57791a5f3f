"""`midspan grafana export`, as somebody uses it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest
import yaml

from midspan.cli import main
from midspan.grafana.export import FORMATS, files
from midspan.grafana.options import Options
from tests.environ import clean_environ
from tests.grafana.reading import ROOT

WRITTEN = "out"


def exported(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text("utf-8") for path in folder.rglob("*.*")}


@pytest.mark.parametrize("name", FORMATS)
def test_it_writes_every_file_of_a_format_and_tells_their_paths(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["grafana", "export", "--format", name, str(tmp_path / "new")]) == 0
    assert exported(tmp_path / "new") == files(Options(), name)
    assert capsys.readouterr().out.splitlines() == [str(tmp_path / "new" / path) for path in files(Options(), name)]


def test_s3_59_every_option_is_in_what_is_written(tmp_path: Path) -> None:
    words = "--job-label service_name --slo 0.995 --critical agent --datasource Mimir --folder LLM"
    words += " --thresholds first_chunk=2.5,failure_ratio=0.2 --grafana-url http://g --runbooks-url http://r/"
    for name in ("provisioning", "classic"):
        assert main(["grafana", "export", "--format", name, *words.split(), str(tmp_path)]) == 0
    found = exported(tmp_path)
    overview, rules = found["dashboards/overview.json"], found["alerts/midspan.yaml"]
    assert 'service_name=~\\"$job\\"' in overview and 'job=~\\"$job\\"' not in overview
    assert '"text": "Mimir"' in overview and "Dashed: 2.5 s" in overview
    assert "0.005" in rules and "> 2.5" in rules and "> 0.2" in rules and "service_name" in rules
    assert 'midspan_operation_type=~"agent"' in rules or 'midspan_operation_type=~\\"agent\\"' in rules
    assert "http://g/d/" in rules and "http://r/Midspan" in rules
    assert '"runbooks/Midspan' not in rules
    provider = yaml.safe_load(found["provisioning/dashboards/midspan.yaml"])["providers"][0]
    source = yaml.safe_load(found["provisioning/datasources/midspan.yaml"])["datasources"][0]
    assert (provider["folder"], source["name"]) == ("LLM", "Mimir")


def test_provisioning_links_exemplars_and_log_events_to_their_traces() -> None:
    written = yaml.safe_load(files(Options(), "provisioning")["provisioning/datasources/midspan.yaml"])
    sources = {source["uid"]: source for source in written["datasources"]}
    exemplars = sources["prometheus"]["jsonData"]["exemplarTraceIdDestinations"]
    assert [(one["name"], sources[one["datasourceUid"]]["type"]) for one in exemplars] == [("trace_id", "tempo")]
    assert sources["loki"]["jsonData"]["derivedFields"][0]["datasourceUid"] == "tempo"
    assert [source["name"] for source in written["datasources"] if source["isDefault"]] == ["Prometheus"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "no command given; there is: export"),
        ("import", "unknown 'import'; there is: export"),
        ("export", "the following arguments are required: DIR"),
        ("export --format v3 .", "classic"),
        ("export --job-label host .", "job label 'host': accepted are job, exported_job, service_name"),
        ("export --slo 1 .", "SLO 1: accepted is a share between 0 and 1"),
        ("export --slo 0 .", "SLO 0: accepted"),
        ("export --slo nan .", "SLO nan: accepted"),
        ("export --slo 99% .", "SLO '99%': accepted is a share between 0 and 1"),
        ("export --critical batch,bach .", "operation type 'bach': accepted are general, llm_request"),
        ("export --critical , .", "no critical operation type: accepted are general"),
        ("export --folder a/b .", "folder 'a/b': accepted is a name without '/'"),
        ("export --thresholds slow=1 .", "threshold 'slow': accepted are failure_ratio, first_chunk, retry_ratio"),
        ("export --thresholds first_chunk=fast .", "threshold first_chunk 'fast': accepted is a number"),
        ("export --thresholds failure_ratio=2 .", "accepted is a share above 0 and up to 1"),
        ("export --thresholds first_chunk=inf .", "accepted are seconds above 0"),
        ("export notes.txt", "notes.txt/dashboards/overview.json cannot be written"),
    ],
)
def test_wrong_use_is_one_line_with_what_is_accepted_and_status_2(
    words: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes.txt").touch()
    monkeypatch.chdir(tmp_path)
    status = main(["grafana", *words.split()])
    out, err = capfd.readouterr()
    assert (status, out) == (2, "")
    assert err.startswith("midspan: grafana") and said in err and err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_it_needs_nothing_but_msgspec_beside_the_standard_library(tmp_path: Path) -> None:
    """So that it can run where no application is."""
    code = (
        f"from midspan.cli import main; main(['grafana', 'export', {str(tmp_path)!r}]); import sys; print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    heavy = {"opentelemetry", "starlette", "uvicorn", "prometheus_client", "yaml", "wrapt", "openai"}
    assert not heavy & set(done.stdout.split())
    assert json.loads((tmp_path / "dashboards" / "overview.json").read_text("utf-8"))["uid"] == "midspan-overview"


def test_what_is_installed_writes_the_same_as_the_checkout(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, capture_output=True, timeout=60, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with ZipFile(wheel) as packed:
        packed.extractall(tmp_path / "site")
    code = f"import midspan, midspan.cli as cli; print(midspan.__file__); cli.main(['grafana', 'export', {WRITTEN!r}])"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60,
                          env=clean_environ(PYTHONPATH=str(tmp_path / "site")), check=True)  # fmt: skip
    assert done.stdout.startswith(str(tmp_path / "site"))
    assert exported(tmp_path / WRITTEN) == files(Options(), "classic")
