"""Virtual environments of exactly pinned packages, one for each tool that is compared or tested with.

Where a pinned file leaves out what a tool depends on (OpenLIT's other SDKs), it stays out: nothing is resolved.
"""

from __future__ import annotations

import hashlib
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PINS = Path(__file__).parent / "requirements"


class BuildError(Exception):
    """An environment could not be built; the message has the installer's own words."""


@dataclass(frozen=True)
class Environment:
    """Where it is, which files of pins it is made from, and whether midspan is in it (editable)."""

    folder: Path
    pins: tuple[Path, ...]
    midspan: bool = False

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    def build(self) -> Path:
        """Make it, unless it is there as it should be; returns its interpreter. Raises BuildError."""
        stamp = self.folder / ".stamp"
        if not (stamp.exists() and stamp.read_text() == self._digest()):
            print(f"building {self.folder.relative_to(ROOT)}", file=sys.stderr, flush=True)
            shutil.rmtree(self.folder, ignore_errors=True)
            self._make()
            stamp.write_text(self._digest())
        return self.python

    def _digest(self) -> str:
        parts = [platform.python_version(), str(ROOT), *(pin.read_text() for pin in self.pins)]
        if self.midspan:
            parts.append((ROOT / "pyproject.toml").read_text())
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    def _make(self) -> None:
        uv = Path(sys.executable).with_name("uv")
        if uv.exists():
            install_step(uv, "venv", "--quiet", "--python", sys.executable, self.folder)
            install = [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", self.python]
        else:
            install_step(sys.executable, "-m", "venv", self.folder)
            install = [self.python, "-m", "pip", "install", "--quiet"]
        install_step(*install, "--no-deps", *(part for pin in self.pins for part in ("--requirement", pin)))
        if self.midspan:
            install_step(*install, "--no-deps", "--no-build-isolation", "--editable", ROOT)


def install_step(*command: str | Path) -> None:
    """Run a step of making an environment. Raises BuildError where it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BuildError(done.stderr.strip() or done.stdout.strip())


def peer(name: str) -> Environment:
    """The environment of one row of the comparison."""
    with_midspan = name == "midspan"
    pins = (PINS / f"{name}.txt", *((PINS / "build.txt",) if with_midspan else ()))
    return Environment(ROOT / ".venv-peers" / name, pins, with_midspan)
