"""The HTTP libraries whose requests are seen, whichever SDK sends them."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from functools import partial

from midspan_instrumentation._importing import OnImport
from midspan_instrumentation._patch import Patch

LIBRARIES = {
    "httpx2": "httpx",
    "httpx": "httpx",
    "urllib3": "urllib3",
    "botocore": "botocore",
    "requests": "requests",
    "aiohttp": "aiohttp",
}
"""Package → what is wrapped of it when it is imported: `patches` in `_transport_<name>.py`."""


def transports() -> tuple[OnImport, ...]:
    """All of them: none is imported for this, nor read what is wrapped of it."""
    return tuple(OnImport(package, partial(_patches, package, name)) for package, name in LIBRARIES.items())


def _patches(package: str, name: str) -> Iterable[Patch]:
    return importlib.import_module(f"midspan_instrumentation._transport_{name}").patches(package)
