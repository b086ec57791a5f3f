"""What `midspan doctor` has found, one thing at a time."""

from __future__ import annotations

from typing import Literal

import msgspec

State = Literal["ok", "info", "problem"]
"""A problem keeps midspan from seeing or telling something; `info` may be meant so."""


class Finding(msgspec.Struct, frozen=True):
    """One thing: what it is, how it is, and what to do about it where something is to be done."""

    section: str
    name: str
    state: State
    said: str
    advice: str | None = None
