from __future__ import annotations

import pytest

from midspan.core.secrets import without_secrets
from midspan.core.text import MAX_MESSAGE, clean

SECRET = {
    "key sk-proj-abcdefghijklmnop1234 refused": "key [hidden] refused",
    "sk-ant-api03-AbC_dEf-0123456789": "[hidden]",
    "Authorization: Bearer abc.def-123=": "Authorization: Bearer [hidden]",
    "bearer 0123456789abcdef": "bearer [hidden]",
    "GET https://ann:pa55@host/path?x=1": "GET https://[hidden]@host/path?x=1",
    "redis://:secret@cache:6379/0": "redis://[hidden]@cache:6379/0",
    "postgres://token@db": "postgres://[hidden]@db",
}
HARMLESS = [
    "task-1 of 3", "risk-free", "ask-question", "sk-1", "https://host/path", "https://host/@user", "mail to ann@host",
    "the bearer of news", "a standard-bearer walks", "http://host/?next=http://other",
]  # fmt: skip


@pytest.mark.parametrize("text", SECRET)
def test_a_secret_in_a_message_is_hidden(text: str) -> None:
    assert clean(text) == SECRET[text]


@pytest.mark.parametrize("text", HARMLESS)
def test_other_text_stays_as_it_is(text: str) -> None:
    assert clean(text) == without_secrets(text) == text


def test_a_secret_at_the_limit_of_a_message_is_hidden_as_a_whole() -> None:
    text = "x" * (MAX_MESSAGE - 10) + " sk-" + "a" * 200
    assert "sk-" not in clean(text)


def test_no_secret_reaches_an_operation(registry) -> None:
    tracker = registry.create_tracker("a")
    tracker.update(1, "trying sk-abcdefghijklmnop", note="https://u:p@host")
    tracker.enter_stage("one", "again with Bearer abcdefgh")
    operation = tracker.get_progress_details()
    tracker.fail(ValueError("no: sk-abcdefghijklmnop"))
    shown = repr(operation) + repr(tracker.get_progress_details())
    assert not [secret for secret in ("sk-abc", "u:p", "abcdefgh") if secret in shown]
