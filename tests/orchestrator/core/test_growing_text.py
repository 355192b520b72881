"""Texts that grow by chunks."""

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.growing_text import GrowingText


@given(st.lists(st.text(max_size=3), max_size=700), st.sets(st.integers(0, 700)))
def test_a_text_is_its_chunks_joined_whenever_it_is_read(
    chunks: list[str], read_at: set[int]
) -> None:
    text, sofar = GrowingText(), ""
    for number, chunk in enumerate(chunks):
        text.append(chunk)
        sofar += chunk
        if number in read_at:
            assert str(text) == sofar
    assert bool(text) == bool(sofar)
    assert str(text) == sofar
    assert sofar.endswith(text.tail(5))


def test_the_tail_reaches_back_into_the_joined_chunks() -> None:
    text = GrowingText()
    for number in range(1000):
        text.append(f"{number} ")
    assert text.tail(9) == " 998 999 "
    assert len(text.tail(400)) == 400


def test_a_cleared_text_is_empty() -> None:
    text = GrowingText()
    for _ in range(300):
        text.append("a")
    text.clear()
    assert (str(text), bool(text), text.tail(3)) == ("", False, "")
