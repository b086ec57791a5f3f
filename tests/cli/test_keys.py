from __future__ import annotations

import pytest

from midspan.cli.keys import Keys


@pytest.mark.parametrize(
    ("sent", "names"),
    [
        (b"q", ["q"]),
        (b"\x1b[A\x1b[B", ["up", "down"]),
        (b"\x1bOA\x1b[5~\x1b[6~\x1b[H\x1b[F", ["up", "page up", "page down", "home", "end"]),
        (b"\r\x7f\x15", ["enter", "backspace", "clear"]),
        ("größe".encode(), ["g", "r", "ö", "ß", "e"]),
        (b"\x1b", ["escape"]),
        (b"\x1bq", ["escape", "q"]),
        (b"\x1b[24~\x1b[1;5Cx", ["x"]),
        (b"\x00\x01", []),
    ],
)
def test_what_a_terminal_sends_has_names(sent: bytes, names: list[str]) -> None:
    assert Keys().read(sent) == names


def test_a_key_that_comes_in_two_parts_is_one() -> None:
    keys = Keys()
    assert keys.read(b"\x1b[") == [] and keys.read(b"A") == ["up"]
    assert keys.read("ö".encode()[:1]) == [] and keys.read("ö".encode()[1:]) == ["ö"]
