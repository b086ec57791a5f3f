"""Imports point as design.md says, and nothing heavy is imported before it is needed."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SRC = ROOT / "src" / "midspan"
INSTRUMENTATION = ROOT / "instrumentation" / "midspan_instrumentation"

LEFT_OF = {
    "core": set(),
    "tracking": {"core"},
    "telemetry": {"core", "tracking"},
    "sources": {"core", "tracking"},
    "compat": {"core", "tracking"},
    "client": set(),
    "grafana": {"core"},
    "server": {"core", "tracking"},
    "runtime": {"core", "tracking", "telemetry", "sources", "compat", "server"},
    "cli": {"core", "tracking", "telemetry", "sources", "compat", "client", "server", "runtime", "grafana"},
}
TOP_LEVEL = {"settings": set(), "models": {"core"}, "testing": {"core", "tracking"}}
ALLOWED_IN_CORE = set(sys.stdlib_module_names) | {"midspan", "msgspec"}


def imported(path: Path) -> Iterator[tuple[str, bool]]:
    """Every absolute module name that a file imports, and whether that is for type checkers only."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test).endswith("TYPE_CHECKING")
        for part in block.body
        for node in ast.walk(part)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, id(node) in typing_only
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 or path.is_relative_to(INSTRUMENTATION), f"relative import in {path}"
            module = node.module or ""
            yield module, id(node) in typing_only
            for alias in node.names:
                yield f"{module}.{alias.name}", id(node) in typing_only


def files(room: Path) -> list[Path]:
    return sorted(room.rglob("*.py"))


@pytest.mark.parametrize("room", [name for name in LEFT_OF if (SRC / name).is_dir()])
def test_a_room_imports_only_rooms_to_its_left(room: str) -> None:
    allowed = LEFT_OF[room] | {room}
    for path in files(SRC / room):
        for name, _ in imported(path):
            parts = name.split(".")
            if parts[0] == "midspan" and len(parts) > 1 and parts[1] in LEFT_OF:
                assert parts[1] in allowed, f"{path.relative_to(ROOT)} imports {name}"


def test_core_needs_nothing_but_the_standard_library_and_msgspec() -> None:
    for path in files(SRC / "core"):
        for name, _ in imported(path):
            assert name.split(".")[0] in ALLOWED_IN_CORE, f"{path.name} imports {name}"


def test_one_module_imports_the_instrumentation_and_late() -> None:
    for path in files(SRC):
        if path == SRC / "runtime" / "attaching.py":
            text = path.read_text(encoding="utf-8")
            assert "\nimport midspan_instrumentation" not in text and "\nfrom midspan_instrumentation" not in text
            continue
        assert "midspan_instrumentation" not in {name.split(".")[0] for name, _ in imported(path)}, path


def test_instrumentation_uses_one_module_of_midspan() -> None:
    for path in files(INSTRUMENTATION):
        for name, _ in imported(path):
            if name.split(".")[0] == "midspan":
                assert name.startswith("midspan.tracking.instrumenting") or name == "midspan.tracking", (
                    f"{path.name}: {name}"
                )


def test_a_provider_imports_the_provider_seam_and_shared_readers_only() -> None:
    """A table is read by nobody but the instrumentation; what two providers share is a file with an underscore."""
    seam, shared = "midspan_instrumentation.provider", "midspan_instrumentation.providers"
    for path in files(INSTRUMENTATION / "providers"):
        for name, typing_only in imported(path):
            ours = name in (seam, shared) or name.startswith((f"{seam}.", f"{shared}._"))
            allowed = ours or typing_only or name.split(".")[0] in sys.stdlib_module_names
            assert allowed, f"{path.name} imports {name}"


def test_a_table_of_jobs_imports_the_seams_and_shared_readers_only() -> None:
    """As a provider; it may use what providers share."""
    ours = "midspan_instrumentation"
    seams = (f"{ours}.provider", f"{ours}.jobs", f"{ours}.providers")
    shared = (f"{ours}.provider.", f"{ours}.jobs._", f"{ours}.providers._")
    tables = [path for path in files(INSTRUMENTATION / "jobs") if path.stem != "watching" and path.stem[0] != "_"]
    for path in tables:
        for name, typing_only in imported(path):
            allowed = name in seams or name.startswith(shared) or name.split(".")[0] in sys.stdlib_module_names
            assert allowed or typing_only, f"{path.name} imports {name}"


def modules_after(code: str) -> set[str]:
    """The modules that a fresh interpreter has imported after running `code`."""
    script = f"{code}\nimport sys\nprint('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    return set(done.stdout.split())


def test_importing_midspan_imports_neither_an_sdk_nor_a_server() -> None:
    heavy = {
        "opentelemetry.sdk",
        "starlette",
        "uvicorn",
        "openai",
        "httpx",
        "httpx2",
        "prometheus_client",
        "rich",
        "wrapt",
    }
    assert not heavy & modules_after("import midspan")


OF_OTHERS = {"openai", "httpx", "httpx2", "starlette", "uvicorn", "opentelemetry", "prometheus_client"}
"""Neither an SDK nor an HTTP client, nor what an application without OpenTelemetry does not have."""
OF_FEW_SDKS = {f"midspan_instrumentation.{name}" for name in ("_covering", "_elsewhere", "_parts")}


def test_switching_on_imports_nothing_that_may_never_be_used() -> None:
    loaded = modules_after("import midspan; midspan.instrument()")
    tables = {name for name in loaded if name.startswith("midspan_instrumentation.providers")}
    later = {"midspan.telemetry.spans", "midspan.telemetry.events", "midspan.sources.otel_spans", "midspan.server"}
    assert loaded & (OF_OTHERS | OF_FEW_SDKS | later | tables) == set()


def test_a_provider_imports_its_own_table_and_nothing_of_other_sdks() -> None:
    code = "from midspan_instrumentation import _tables; [*_tables._own('openai')]"
    loaded = modules_after(code)
    tables = {name for name in loaded if name.startswith("midspan_instrumentation.providers.") and "._" not in name}
    assert tables == {"midspan_instrumentation.providers.openai"}
    assert loaded & OF_FEW_SDKS == set()
