"""`MIDSPAN_*` → one frozen `Settings`, read once. A bad value is one clear error."""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from msgspec import Struct, field

PREFIX = "MIDSPAN_"
MESSAGE_CONTENT = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
"""OpenTelemetry's own switch for the content of messages on spans and in events."""
DISABLED_INSTRUMENTATIONS = "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"
"""OpenTelemetry's own list of what is left out; `midspan_openai` there is one provider of ours."""
INTERNAL = frozenset({"MIDSPAN_FEED_FD", "MIDSPAN_SERVED_BY"})
DEFAULT_STALL_AFTER = {"": 60.0, "batch": 3600.0, "fine_tuning": 3600.0}

T = TypeVar("T")
logger = logging.getLogger("midspan")


class SettingsError(ValueError):
    """A setting that cannot be used; the message names the variable, the value and what is accepted."""


class Address(Struct, frozen=True):
    """Where to listen; port 0 is any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


class Settings(Struct, frozen=True):
    """How midspan behaves in this process; the field `x` is the variable `MIDSPAN_X`.

    Two are OpenTelemetry's: `message_content` says where messages are written, on the `span`, in an `event`, or both;
    `disabled_providers` are left out unless `providers` names them.
    """

    enabled: bool = True
    providers: tuple[str, ...] = ()
    events: frozenset[str] = frozenset({"span", "log"})
    genai_metrics: bool = True
    server: Address | None = None
    metrics: Address | None = None
    allowed_hosts: tuple[str, ...] = ()
    token: str | None = None
    token_file: Path | None = None
    retention_seconds: float = 3600.0
    max_operations: int = 10_000
    stall_after: Mapping[str, float] = field(default_factory=lambda: dict(DEFAULT_STALL_AFTER))
    live_series: int = 20
    capture_content: bool = False
    message_content: frozenset[str] = frozenset()
    disabled_providers: frozenset[str] = frozenset()
    trace_url: str | None = None
    log: str | None = None

    def __repr__(self) -> str:
        """All but the token."""
        shown = (f"{name}={getattr(self, name)!r}" for name in self.__struct_fields__ if name != "token")
        return f"Settings({', '.join(shown)})"

    @property
    def wanted_providers(self) -> frozenset[str] | None:
        """Names asked for, or None for all."""
        wanted = frozenset(name for name in self.providers if not name.startswith("-"))
        return wanted or None

    @property
    def unwanted_providers(self) -> frozenset[str]:
        """Names left out by `-name`, or by OpenTelemetry's variable."""
        left_out = frozenset(name[1:] for name in self.providers if name.startswith("-"))
        return left_out | (self.disabled_providers - (self.wanted_providers or frozenset()))


def variable_of(field_name: str) -> str:
    """The environment variable that a field of `Settings` is read from."""
    of_opentelemetry = {"message_content": MESSAGE_CONTENT, "disabled_providers": DISABLED_INSTRUMENTATIONS}
    return of_opentelemetry.get(field_name) or PREFIX + field_name.upper()


def _switch(value: str) -> bool:
    word = value.lower()
    if word in ("true", "1", "on", "yes"):
        return True
    if word in ("false", "0", "off", "no"):
        return False
    raise ValueError("true or false")


def _list(value: str) -> tuple[str, ...]:
    return tuple(part for part in (part.strip() for part in value.split(",")) if part)


def _events(value: str) -> frozenset[str]:
    words = frozenset(_list(value.lower()))
    if words == frozenset({"none"}):
        return frozenset()
    if not words or not words <= {"span", "log"}:
        raise ValueError("span, log, both with a comma, or none")
    return words


def _address(value: str) -> Address | None:
    if value.lower() == "off":
        return None
    host, colon, port = value.rpartition(":")
    host = host.strip("[]")
    if not colon or not host or not port.isdigit() or int(port) > 65535:
        raise ValueError("host:port, such as 127.0.0.1:9465, or off")
    return Address(host, int(port))


def _at_least(least: float, convert: Callable[[str], T]) -> Callable[[str], T]:
    def parse(value: str) -> T:
        try:
            parsed = convert(value)
        except ValueError:
            parsed = None
        if parsed is None or not float(value) >= least:
            kind = "a whole number" if convert is int else "a number of seconds"
            raise ValueError(f"{kind} of at least {least:g}")
        return parsed

    return parse


def _stall_after(value: str) -> dict[str, float]:
    limits = dict(DEFAULT_STALL_AFTER)
    for part in _list(value):
        kind, equals, seconds = part.rpartition("=")
        try:
            limits[kind.strip() if equals else ""] = _at_least(0.0, float)(seconds.strip())
        except ValueError:
            raise ValueError("seconds, and type=seconds with commas, such as 60,batch=3600") from None
    return limits


def _log(value: str) -> str:
    if value.lower() != "json":
        raise ValueError("json")
    return "json"


def _trace_url(value: str) -> str:
    url = urlsplit(value)
    if "{trace_id}" not in value or url.scheme not in ("http", "https") or not url.hostname or not value.isprintable():
        raise ValueError("an http(s) URL that contains {trace_id}")
    return value


def _message_content(value: str) -> frozenset[str] | None:
    """OpenTelemetry's values, and `true`, which older instrumentation took; None for another one."""
    known = {
        "": (),
        "false": (),
        "no_content": (),
        "true": ("span",),
        "span_only": ("span",),
        "event_only": ("event",),
        "span_and_event": ("span", "event"),
    }
    found = known.get(value.strip().lower())
    return None if found is None else frozenset(found)


@functools.cache
def _tell_unknown(value: str) -> None:
    """Once: OpenTelemetry wants a warning, and another tool may know the value."""
    accepted = "NO_CONTENT, SPAN_ONLY, EVENT_ONLY, SPAN_AND_EVENT"
    logger.warning(
        "midspan: %s=%r is not known, no content is captured; accepted: %s", MESSAGE_CONTENT, value, accepted
    )


_PARSERS: dict[str, Callable[[str], object]] = {
    "enabled": _switch,
    "providers": _list,
    "events": _events,
    "genai_metrics": _switch,
    "server": _address,
    "metrics": _address,
    "allowed_hosts": _list,
    "token": str,
    "token_file": Path,
    "retention_seconds": _at_least(0.0, float),
    "max_operations": _at_least(0, int),
    "stall_after": _stall_after,
    "live_series": _at_least(0, int),
    "capture_content": _switch,
    "trace_url": _trace_url,
    "log": _log,
}


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """Settings from the environment. Raises SettingsError for a bad value or an unknown `MIDSPAN_*` name.

    Of the environment of this process OpenTelemetry's variable is told, too: an unknown value is a warning.
    """
    source = os.environ if environ is None else environ
    given: dict[str, object] = {}
    for variable, value in source.items():
        if variable.startswith(PREFIX) and variable not in INTERNAL and value.strip():
            name = variable.removeprefix(PREFIX).lower()
            given[name] = parse(name, value.strip())
    where = _message_content(source.get(MESSAGE_CONTENT, ""))
    if where is None and environ is None:
        _tell_unknown(source[MESSAGE_CONTENT])
    given["message_content"] = where or frozenset()
    disabled = _list(source.get(DISABLED_INSTRUMENTATIONS, ""))
    given["disabled_providers"] = frozenset(
        name.removeprefix("midspan_") for name in disabled if name.startswith("midspan_")
    )
    return _settled(Settings(**given))  # pyright: ignore[reportArgumentType] - each value is what its parser returns


def parse(name: str, value: str) -> object:
    """One setting's value from its text. Raises SettingsError."""
    parser = _PARSERS.get(name)
    variable = PREFIX + name.upper()
    if parser is None:
        import difflib

        # Without the prefix, which makes every two of them alike.
        close = difflib.get_close_matches(name, _PARSERS, 1)
        known = ", ".join(PREFIX + each.upper() for each in _PARSERS)
        hint = f"did you mean {PREFIX}{close[0].upper()}?" if close else f"known are {known}"
        raise SettingsError(f"{variable} is not a setting: {hint}")
    try:
        return parser(value)
    except ValueError as error:
        shown = "" if name.startswith("token") else f"={value!r}"
        raise SettingsError(f"{variable}{shown} is not valid: accepted is {error}") from None


def _settled(settings: Settings) -> Settings:
    if settings.token_file is not None and not os.access(settings.token_file, os.R_OK):
        raise SettingsError(f"MIDSPAN_TOKEN_FILE={str(settings.token_file)!r} cannot be read")
    return settings
