from __future__ import annotations

import sys
from pathlib import Path

import pytest

from midspan.cli.command import resolve, split

OPTIONS = frozenset({"--server"})


@pytest.mark.parametrize(
    ("arguments", "own", "command"),
    [
        ("--quiet -- python app.py", "--quiet", "python app.py"),
        ("app.py --quiet", "", "app.py --quiet"),
        ("--server off app.py", "--server off", "app.py"),
        ("--server=off app.py", "--server=off", "app.py"),
        ("--view -m pkg --flag", "--view", "-m pkg --flag"),
        ("-- python -m pkg", "", "python -m pkg"),
        ("sh -- x", "", "sh -- x"),
        ("--server", "--server", ""),
        ("", "", ""),
    ],
)
def test_options_end_where_the_command_begins(arguments: str, own: str, command: str) -> None:
    assert split(arguments.split(), OPTIONS) == (own.split(), command.split())


def test_a_python_file_and_a_module_get_this_python(tmp_path: Path) -> None:
    app = tmp_path / "app.py"
    app.touch()
    assert resolve([str(app), "x"]) == [sys.executable, str(app), "x"]
    assert resolve(["-m", "json.tool", "-h"]) == [sys.executable, "-m", "json.tool", "-h"]


def test_a_program_is_found_on_the_path() -> None:
    [program, *rest] = resolve(["sh", "-c", "true"])
    assert Path(program).is_absolute() and rest == ["-c", "true"]


def test_a_folder_with_a_main_is_what_python_takes(tmp_path: Path) -> None:
    (tmp_path / "__main__.py").touch()
    assert resolve([sys.executable, str(tmp_path)]) == [sys.executable, str(tmp_path)]
