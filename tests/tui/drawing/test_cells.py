import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.style import Style

from tui.drawing.cells import bar, clip, level, line, pad, sanitize_line, sparkline, spread

PLAIN = Style()
FOREIGN = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from("\x1b[31m\u202e\u200b\u0301\u0338\ufe0f\u3000👩‍🚀한🇩🇪\t\r\n[red]\x00\x9b"),
    ),
    max_size=200,
)


@given(FOREIGN, st.integers(0, 60))
def test_foreign_text_fills_exactly_the_cells_it_is_given(text: str, width: int) -> None:
    assert line(width, [(sanitize_line(text), PLAIN)]).cell_length == width
    assert cell_len(clip(sanitize_line(text), width)) <= width
    assert cell_len(pad(sanitize_line(text), width)) == width


@given(FOREIGN)
def test_foreign_text_holds_nothing_that_a_terminal_interprets(text: str) -> None:
    shown = sanitize_line(text)
    assert not any(unicodedata.category(c) in ("Cc", "Cf", "Cs") for c in shown)


@given(FOREIGN, FOREIGN, st.integers(1, 60))
def test_left_and_right_share_a_line_without_overflow(left: str, right: str, width: int) -> None:
    strip = spread(width, [(sanitize_line(left), PLAIN)], [(sanitize_line(right), PLAIN)])
    assert strip.cell_length == width


def test_a_cut_text_says_so() -> None:
    assert clip("abcdef", 4) == "abc…"
    assert clip("한국어", 4) == "한…"
    assert clip("abc", 0) == ""


@pytest.mark.parametrize(
    ("fraction", "shown"),
    [(0.0, "    "), (0.001, "╸   "), (0.5, "━━  "), (1.0, "━━━━"), (7.0, "━━━━")],
)
def test_a_bar_is_as_long_as_its_share(fraction: float, shown: str) -> None:
    assert bar(fraction, 4) == shown


def test_little_is_never_shown_as_nothing() -> None:
    assert level(0.0) == " "
    assert level(1e-9) == "▁"
    assert sparkline([0, 1, 8], 8) == " ▁█"
    assert sparkline([0, 0], 0) == "  "


def test_a_right_part_wider_than_the_line_is_cut() -> None:
    assert spread(3, [("left", PLAIN)], [("right", PLAIN)]).text == "ri…"
