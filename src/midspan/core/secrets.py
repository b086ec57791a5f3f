"""Secrets that slip into messages: API keys, bearer tokens, and the user info of URLs."""

from __future__ import annotations

import re
from functools import cache

HIDDEN = "[hidden]"
MAX_SECRET = 512


@cache
def _secret() -> re.Pattern[str]:
    return re.compile(
        r"\bsk-[A-Za-z0-9_-]{12,}"  # keys of OpenAI, Anthropic and all who copied them
        r"|(?<=\bBearer )[A-Za-z0-9._~+/-]{6,}=*"
        r"|(?<=\bbearer )[A-Za-z0-9._~+/-]{6,}=*"
        r"|(?<=://)[^\s/@?#]{1,256}(?=@)"
    )


def without_secrets(text: str) -> str:
    """The text with `[hidden]` in the place of each secret."""
    return _secret().sub(HIDDEN, text)
