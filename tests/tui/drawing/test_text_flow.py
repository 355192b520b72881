import unicodedata

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tui.drawing.text_flow import Row, TextFlow, wrap

FOREIGN = st.text(
    st.one_of(
        st.characters(), st.sampled_from("\x1b[31m \u202e\u200b\u0301\u3000👩‍🚀한\r\n[red]\x00abc")
    ),
    max_size=300,
)


@given(FOREIGN, st.integers(1, 40))
def test_no_line_is_wider_than_asked(text: str, width: int) -> None:
    flow = TextFlow(width)
    flow.feed(text)
    assert all(cell_len(row.text) <= max(width, 2) for row in flow.rows)


MARKED = st.lists(
    st.one_of(
        st.characters(exclude_categories=["Mn", "Me"]),
        st.sampled_from(
            ["e\u0301", "한", "ᄒ\u1161\u11ab", "x\u0323\u0301\u0300\u0338", "!\ufe0f\ufe0e\u0301"]
        ),
        st.sampled_from(["\x1b[31m", " ", "\u200b", "\u3000", "👩‍🚀", "\r\n", "[red]", "abc" * 9]),
    ),
    max_size=100,
).map("".join)
"""Marks on letters alone: what becomes of one behind a space depends on where lines end."""


@given(MARKED, st.lists(st.integers(0, 300)), st.integers(1, 300))
def test_feeding_in_pieces_loses_nothing(text: str, cuts: list[int], checkpoint: int) -> None:
    whole = TextFlow(30, checkpoint)
    whole.feed(text + "|")
    pieces = TextFlow(30, checkpoint)
    for cut in sorted(cuts):
        pieces.feed(text[:cut])
    pieces.feed(text + "|")
    assert squeeze(pieces) == squeeze(whole)


@given(FOREIGN, st.lists(st.integers(0, 300)), st.integers(1, 300))
def test_feeding_in_pieces_loses_nothing_but_marks_without_a_letter(
    text: str, cuts: list[int], checkpoint: int
) -> None:
    whole, pieces = TextFlow(30, checkpoint), TextFlow(30, checkpoint)
    whole.feed(text + "|")
    for cut in sorted(cuts):
        pieces.feed(text[:cut])
    pieces.feed(text + "|")
    assert unmarked(pieces) == unmarked(whole)


def unmarked(flow: TextFlow) -> str:
    """The text without white space and combining marks."""
    text = unicodedata.normalize("NFD", squeeze(flow))
    return "".join(c for c in text if unicodedata.category(c) not in ("Mn", "Me"))


def squeeze(flow: TextFlow) -> str:
    """The text without white space, which wrapping may eat."""
    text = "".join("¶" if row.mark else row.text for row in flow.rows)
    return "".join(c for c in text if not c.isspace())


def test_a_mark_that_comes_later_joins_its_letter() -> None:
    flow = TextFlow(4)
    for end in range(1, 7):
        flow.feed("abce\u0301\u0323"[:end])
    assert [row.text for row in flow.rows] == ["abc\u1eb9\u0301"]


@given(st.text("ab c\n", max_size=200), st.lists(st.integers(0, 200)), st.integers(2, 30))
def test_plain_text_fed_in_pieces_wraps_as_when_fed_at_once(
    text: str, cuts: list[int], width: int
) -> None:
    whole, pieces = TextFlow(width), TextFlow(width)
    whole.feed(text)
    for cut in sorted(cuts):
        pieces.feed(text[:cut])
    pieces.feed(text)
    assert "".join(row.text for row in pieces.rows).replace(" ", "") == "".join(
        row.text for row in whole.rows
    ).replace(" ", "")
    assert all(len(row.text) <= width for row in pieces.rows)


def test_words_stay_whole_where_they_can() -> None:
    assert wrap("so maybe the answer", 10) == ["so maybe", "the answer"]
    assert wrap("a" * 25, 10) == ["a" * 10, "a" * 10, "a" * 5]
    assert wrap("", 10) == [""]
    assert wrap("한국어", 3) == ["한", "국", "어"]
    assert wrap("한", 1) == ["한"]


def test_the_checkpoint_is_marked_between_two_lines() -> None:
    flow = TextFlow(20, checkpoint=5)
    flow.feed("abc")
    flow.feed("abcde fghij")
    assert flow.rows == [Row("abcde"), Row("", mark=True), Row("fghij")]


def test_a_checkpoint_at_the_end_of_the_text_is_marked_too() -> None:
    flow = TextFlow(20, checkpoint=3)
    flow.feed("abc")
    flow.feed("abc\ndef")
    assert flow.rows == [Row("abc"), Row("", mark=True), Row(""), Row("def")]


def test_a_line_end_torn_in_two_is_one_line_end() -> None:
    flow = TextFlow(20)
    flow.feed("abc\r")
    flow.feed("abc\r\ndef")
    assert [row.text for row in flow.rows] == ["abc", "def"]


def test_growing_by_a_word_touches_the_last_line_of_a_megabyte_alone() -> None:
    flow = TextFlow(80)
    text = "x" * 1_000_000
    flow.feed(text)
    before = list(flow.rows)
    flow.feed(text + "y")
    assert len(flow.rows) == 12_501
    assert all(now is then for now, then in zip(flow.rows, before[:-1], strict=False))
