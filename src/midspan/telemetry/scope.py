"""Under which version midspan's telemetry is reported."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version

from midspan.core import names


@cache
def package_version() -> str:
    """The installed version of midspan, or `unknown` when it runs from a plain source tree."""
    try:
        return version(names.SCOPE)
    except PackageNotFoundError:
        return "unknown"
