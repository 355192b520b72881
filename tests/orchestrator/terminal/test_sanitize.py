import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.terminal.sanitize import plain


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("42", "42"),
        ("\x1b[31mred\x1b[0m", "␛[31mred␛[0m"),
        ("\x1b]0;title\x07", "␛]0;title␇"),
        ("\x9b31m", "\N{REPLACEMENT CHARACTER}31m"),
        ("a\u202eb", "a\N{REPLACEMENT CHARACTER}b"),
        ("a\u200bb\ufeff", "ab"),
        ("\ud800", "\N{REPLACEMENT CHARACTER}"),
        ("\x7f", "␡"),
        ("[red]x[/]", "[red]x[/]"),
        (" a\r\n\tb\u2028c ", "a b c"),
        ("naïve 数学 ½ é", "naïve 数学 ½ é"),
    ],
)
def test_shows_what_others_wrote_inert(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_keeps_lines_on_demand() -> None:
    assert plain("a\r\nb\rc\n\td", one_line=False) == "a\nb\nc\n    d"


def test_shortens_what_is_too_long() -> None:
    assert plain("x" * 10, limit=10) == "x" * 10
    assert plain("x" * 11, limit=10) == "x" * 9 + "…"
    assert plain("x" * 1_000_000, limit=10) == "x" * 9 + "…"
    assert plain("\u200b" * 1_000_000 + "x", limit=10) == "…"


@given(st.text(st.characters(codec=None, categories=None), max_size=60), st.booleans())
def test_nothing_is_left_that_a_terminal_obeys(text: str, one_line: bool) -> None:
    shown = plain(text, one_line=one_line)
    shown.encode()
    kept = shown if one_line else shown.replace("\n", "")
    assert not {unicodedata.category(c) for c in kept} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
