"""Endings that only the garbage collector brings about: it is forced often, so it gets less."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="module")
def small_heap() -> Iterator[None]:
    """A forced collection need not look at the modules of the SDKs again and again."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()
