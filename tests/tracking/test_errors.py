"""Of an error that a server has answered with, its words are not kept: they may be the prompt's."""

from __future__ import annotations

from typing import Any

import pytest

from midspan.core.content import Capture
from midspan.tracking.errors import error_info
from midspan.tracking.tracker import ProgressRegistry

SAID = "your prompt 'sesame' is not acceptable"


class ApiError(Exception):
    """As SDKs have them: with what the server answered."""

    def __init__(self, **held: Any) -> None:
        super().__init__(f"Error code: 400 - {SAID}")
        self.message = SAID
        vars(self).update(held)


class BrokenError(Exception):
    """One whose properties raise."""

    body = "x"

    @property
    def code(self) -> str:
        raise RuntimeError("sesame")


@pytest.mark.parametrize(
    ("held", "told"),
    [
        (
            {"status_code": 400, "type": "invalid_request_error", "code": "too_long", "body": {}},
            "400 invalid_request_error too_long",
        ),
        (
            {"status_code": 429, "body": {"error": {"type": "rate_limit_error", "message": SAID}}},
            "429 rate_limit_error",
        ),
        ({"response": object(), "code": 400, "status": "INVALID_ARGUMENT"}, "400 INVALID_ARGUMENT"),
        (
            {"response": {"Error": {"Code": "ThrottlingException"}, "ResponseMetadata": {"HTTPStatusCode": 429}}},
            "429 ThrottlingException",
        ),
        ({"body": {"message": SAID, "type": "server_error"}, "type": "server_error"}, "server_error"),
        ({"status_code": 400, "code": SAID}, "400"),
        ({"body": SAID}, None),
        ({"status_code": -1, "error": SAID}, None),
    ],
    ids=["openai", "anthropic", "google", "botocore", "in a stream", "a code that is none", "text alone", "ollama"],
)
def test_a_servers_answer_is_told_by_its_status_and_codes(held: dict[str, Any], told: str | None) -> None:
    info = error_info(ApiError(**held))
    assert (info.type, info.message) == (f"{__name__}.ApiError", told)


def raised_from(message: str, *, explicit: bool) -> Exception:
    try:
        try:
            raise ApiError(status_code=400)
        except ApiError as error:
            if explicit:
                raise RuntimeError(message) from error
            raise RuntimeError(message)  # noqa: B904 - what is tested
    except RuntimeError as outer:
        return outer


@pytest.mark.parametrize("explicit", [True, False])
@pytest.mark.parametrize("words", [SAID, f"Error code: 400 - {SAID}"])
def test_an_error_that_repeats_an_answer_is_told_by_the_answers_codes(words: str, explicit: bool) -> None:
    info = error_info(raised_from(f"giving up: {words}", explicit=explicit))
    assert (info.type, info.message) == ("RuntimeError", "400")


def test_an_error_with_words_of_its_own_keeps_them() -> None:
    assert error_info(raised_from("no model is left", explicit=True)).message == "no model is left"
    assert error_info(ApiError(response=None, body=None)).message == f"Error code: 400 - {SAID}"
    assert error_info("half").message == "half"


def test_a_property_that_raises_is_nothing() -> None:
    assert error_info(BrokenError("sesame")).message is None


@pytest.mark.parametrize(
    ("capture", "told"), [(Capture(), "400"), (Capture(preview=True), f"Error code: 400 - {SAID}")]
)
@pytest.mark.parametrize("end", ["fail", "end_with"])
def test_in_full_only_where_content_is_asked_for(
    registry: ProgressRegistry, capture: Capture, told: str, end: str
) -> None:
    registry.capture = capture
    tracker = registry.create_tracker()
    getattr(tracker, end)(ApiError(status_code=400))
    error = tracker.get_progress_details().error
    assert error is not None
    assert error.message == told
