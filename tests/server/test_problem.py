"""The kinds of problems are an interface: they are all listed, for programs to rely on."""

from __future__ import annotations

import re
from pathlib import Path

from midspan import server

ROOM = Path(server.__file__).parent
PAGE = Path(__file__).parents[2] / "docs" / "api.md"
RAISED = re.compile(r'(?:Problem|_refusal)\(\s*(?:\d{3}|status),\s*"([a-z-]+)"')


def test_every_kind_of_problem_is_on_the_page_of_the_api() -> None:
    kinds = {kind for path in ROOM.rglob("*.py") for kind in RAISED.findall(path.read_text("utf-8"))}
    assert len(kinds) > 20
    page = PAGE.read_text("utf-8")
    assert {kind for kind in kinds if f"`{kind}`" not in page} == set()
