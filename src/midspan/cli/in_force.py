"""The settings in force, and where each comes from."""

from __future__ import annotations

import os
from collections.abc import Iterator

import msgspec

from midspan import settings as settings_module
from midspan.cli.findings import Finding
from midspan.runtime import wiring
from midspan.settings import DISABLED_INSTRUMENTATIONS, Settings, SettingsError, variable_of

SECRETS = frozenset({"token"})
UNSET = {"providers": "all that are installed", "server": "off, and 127.0.0.1:9465 under midspan run"}
"""What it means that a setting is empty, where that is not `none`."""
_SECTION = "settings"


def load() -> tuple[Settings, SettingsError | None]:
    """The settings of the environment, or the defaults and what is wrong with it."""
    try:
        found = settings_module.load()
        wiring.check(found)
    except SettingsError as error:
        return Settings(), error
    return found, None


def found_settings(settings: Settings, error: SettingsError | None) -> Iterator[Finding]:
    """Each setting with its source. What the application says in `midspan.instrument(…)` is not known here."""
    if error is not None:
        yield Finding(_SECTION, "environment", "problem", str(error), "mend the variable; midspan stays off until then")
        return
    for field in msgspec.structs.fields(settings):
        variable = variable_of(field.name)
        source = "from the environment" if os.environ.get(variable, "").strip() else "default"
        shown = _shown(field.name, getattr(settings, field.name))
        yield Finding(_SECTION, variable, "info", f"{shown} ({source})")
    if not settings.enabled:
        yield Finding(_SECTION, "midspan", "problem", "it is switched off", "unset MIDSPAN_ENABLED")
    yield from _opentelemetry()


def _shown(name: str, value: object) -> str:
    if value is None or value in ((), frozenset()):
        return UNSET.get(name, "none")
    if name in SECRETS:
        return "set, not shown"
    if isinstance(value, frozenset | tuple):
        return ",".join(sorted(map(str, value)))  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    if isinstance(value, dict):
        return ",".join(f"{key}={each:g}" if key else f"{each:g}" for key, each in value.items())  # pyright: ignore[reportUnknownVariableType]
    return str(value).lower() if isinstance(value, bool) else str(value)


def _opentelemetry() -> Iterator[Finding]:
    """Variables of OpenTelemetry's that decide about us."""
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        said = "true: there are no spans, metrics and logs; progress is seen here nevertheless"
        yield Finding(_SECTION, "OTEL_SDK_DISABLED", "info", said, "unset it to export telemetry")
    disabled = os.environ.get(DISABLED_INSTRUMENTATIONS, "")
    if {"*", "midspan"} & set(disabled.replace(" ", "").split(",")):
        said = f"{disabled}: opentelemetry-instrument leaves midspan out"
        yield Finding(_SECTION, DISABLED_INSTRUMENTATIONS, "problem", said, "take midspan out of the list")
