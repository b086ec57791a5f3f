"""Settings are read once; a bad value is one clear error that names variable, value and what is accepted."""

from __future__ import annotations

from pathlib import Path

import pytest

from midspan.settings import MESSAGE_CONTENT, Address, Settings, SettingsError, load


def test_nothing_set_gives_the_documented_defaults() -> None:
    settings = load({})
    assert settings == Settings()
    assert settings.enabled and settings.server is None and settings.events == {"span", "log"}
    assert (settings.retention_seconds, settings.max_operations, settings.live_series) == (3600.0, 10_000, 20)
    assert settings.stall_after == {"": 60.0, "batch": 3600.0, "fine_tuning": 3600.0}
    assert not settings.capture_content


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("MIDSPAN_ENABLED", "false", False),
        ("MIDSPAN_ENABLED", "1", True),
        ("MIDSPAN_PROVIDERS", "openai, -anthropic", ("openai", "-anthropic")),
        ("MIDSPAN_EVENTS", "none", frozenset()),
        ("MIDSPAN_EVENTS", "span", frozenset({"span"})),
        ("MIDSPAN_SERVER", "off", None),
        ("MIDSPAN_SERVER", "0.0.0.0:80", Address("0.0.0.0", 80)),
        ("MIDSPAN_SERVER", "[::1]:9465", Address("::1", 9465)),
        ("MIDSPAN_STALL_AFTER", "5,batch=10", {"": 5.0, "batch": 10.0, "fine_tuning": 3600.0}),
        ("MIDSPAN_MAX_OPERATIONS", "0", 0),
        ("MIDSPAN_TRACE_URL", "https://t/{trace_id}", "https://t/{trace_id}"),
        ("MIDSPAN_LOG", "json", "json"),
    ],
)
def test_a_good_value_is_taken(variable: str, value: str, expected: object) -> None:
    assert getattr(load({variable: value}), variable.removeprefix("MIDSPAN_").lower()) == expected


@pytest.mark.parametrize(
    ("variable", "value", "accepted"),
    [
        ("MIDSPAN_ENABLED", "perhaps", "true or false"),
        ("MIDSPAN_EVENTS", "spam", "span, log"),
        ("MIDSPAN_SERVER", "localhost", "host:port"),
        ("MIDSPAN_SERVER", "localhost:99999", "host:port"),
        ("MIDSPAN_RETENTION_SECONDS", "-1", "at least 0"),
        ("MIDSPAN_RETENTION_SECONDS", "nan", "at least 0"),
        ("MIDSPAN_MAX_OPERATIONS", "1.5", "a whole number"),
        ("MIDSPAN_STALL_AFTER", "batch=soon", "type=seconds"),
        ("MIDSPAN_TRACE_URL", "https://t/", "{trace_id}"),
        ("MIDSPAN_TRACE_URL", "https:///{trace_id}", "{trace_id}"),
        ("MIDSPAN_TRACE_URL", "javascript:alert('{trace_id}')", "{trace_id}"),
        ("MIDSPAN_LOG", "xml", "json"),
    ],
)
def test_a_bad_value_says_which_and_what_is_accepted(variable: str, value: str, accepted: str) -> None:
    with pytest.raises(SettingsError) as raised:
        load({variable: value})
    message = str(raised.value)
    assert variable in message and repr(value) in message and accepted in message and "\n" not in message


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ("NO_CONTENT", set[str]()),
        ("false", set[str]()),
        ("true", {"span"}),
        ("Span_Only", {"span"}),
        ("EVENT_ONLY", {"event"}),
        ("SPAN_AND_EVENT", {"span", "event"}),
    ],
)
def test_opentelemetrys_own_switch_says_where_messages_go(value: str, where: set[str]) -> None:
    assert load({MESSAGE_CONTENT: value}).message_content == where


def test_a_value_that_opentelemetry_does_not_know_is_a_warning_and_captures_nothing(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not ours to refuse: another tool may know it. Who only looks at another environment says nothing."""
    monkeypatch.setenv(MESSAGE_CONTENT, "everything")
    assert load({MESSAGE_CONTENT: "anything"}).message_content == frozenset()
    assert load().message_content == load().message_content == frozenset()
    (record,) = caplog.records
    assert MESSAGE_CONTENT in record.getMessage() and "SPAN_ONLY" in record.getMessage()


def test_an_unknown_variable_is_named_with_the_likely_one() -> None:
    with pytest.raises(SettingsError, match="MIDSPAN_PROVIDER is not a setting: did you mean MIDSPAN_PROVIDERS"):
        load({"MIDSPAN_PROVIDER": "openai"})
    with pytest.raises(SettingsError, match="MIDSPAN_FOO is not a setting: known are MIDSPAN_ENABLED, "):
        load({"MIDSPAN_FOO": "1"})


def test_a_provider_in_opentelemetrys_list_is_left_out_unless_it_is_asked_for_by_name() -> None:
    listed = {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "redis, midspan_openai,midspan"}
    assert load(listed).unwanted_providers == {"openai"}
    assert load({**listed, "MIDSPAN_PROVIDERS": "-groq"}).unwanted_providers == {"openai", "groq"}
    assert load({**listed, "MIDSPAN_PROVIDERS": "openai"}).unwanted_providers == frozenset()


def test_a_token_is_never_shown(tmp_path: Path) -> None:
    settings = load({"MIDSPAN_TOKEN": "s3cret"})
    assert settings.token == "s3cret"
    assert "s3cret" not in repr(settings)


def test_a_token_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"MIDSPAN_TOKEN_FILE=.*cannot be read"):
        load({"MIDSPAN_TOKEN_FILE": str(tmp_path / "absent")})


def test_an_empty_variable_counts_as_not_set() -> None:
    assert load({"MIDSPAN_SERVER": " "}) == Settings()


def test_providers_are_told_apart_into_wanted_and_unwanted() -> None:
    settings = load({"MIDSPAN_PROVIDERS": "-openai"})
    assert settings.wanted_providers is None
    assert settings.unwanted_providers == {"openai"}
