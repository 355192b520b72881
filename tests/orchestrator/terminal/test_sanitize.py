"""Untrusted text is shown without effect on the terminal."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.terminal.sanitize import sanitize


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
def test_untrusted_text_has_no_effect_on_the_terminal(text: str, shown: str) -> None:
    assert sanitize(text) == shown


def test_line_ends_are_kept_where_several_lines_are_wanted() -> None:
    assert sanitize("a\r\nb\rc\n\td", one_line=False) == "a\nb\nc\n    d"


def test_text_longer_than_the_limit_is_cut() -> None:
    assert sanitize("x" * 10, limit=10) == "x" * 10
    assert sanitize("x" * 11, limit=10) == "x" * 9 + "…"
    assert sanitize("x" * 1_000_000, limit=10) == "x" * 9 + "…"
    assert sanitize("\u200b" * 1_000_000 + "x", limit=10) == "…"


def test_a_pile_of_combining_marks_is_cut_to_two() -> None:
    assert sanitize("a" + "\u0338" * 1000) == "a" + "\u0338" * 2
    assert sanitize("\u0301" * 9 + "b") == "b"
    assert sanitize("e\u0301") == "é"


def test_variation_selectors_that_change_the_width_are_removed() -> None:
    assert sanitize("❤\ufe0f") == "❤"


@given(st.text(st.characters(codec=None, categories=None), max_size=60), st.booleans())
def test_no_character_is_left_that_a_terminal_interprets(text: str, one_line: bool) -> None:
    shown = sanitize(text, one_line=one_line)
    shown.encode()
    kept = shown if one_line else shown.replace("\n", "")
    assert not {unicodedata.category(c) for c in kept} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
