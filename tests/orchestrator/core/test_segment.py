import itertools
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.segment import Cut, Segmenter

TEXTS = st.lists(
    st.sampled_from(
        ["wait", "Wait", "SO", "sofa", "also", "since", " ", "\n", ",", "é", "x1", "_"]
    ),
    max_size=40,
).map("".join)


def cut_of(text: str, cuts: Iterable[int] = (), **settings: Any) -> Cut:
    """The segment when `text` arrives in pieces, cut at the given places."""
    segmenter = Segmenter(**settings)
    places = sorted({0, len(text), *(place for place in cuts if place <= len(text))})
    for start, end in itertools.pairwise(places):
        segmenter.feed(text[start:end], end)
    return segmenter.finish()


@given(text=TEXTS, cuts=st.sets(st.integers(0, 200)), words=st.integers(1, 5))
def test_any_chunking_gives_the_same_segment(text: str, cuts: set[int], words: int) -> None:
    assert cut_of(text, cuts, words=words) == cut_of(text, words=words)
    assert cut_of(text, range(len(text)), words=words) == cut_of(text, words=words)


def test_the_segment_ends_right_after_the_kth_word() -> None:
    text = "So 1+1=2. Wait, check. Thus 2"
    assert cut_of(text, words=3) == (len("So 1+1=2. Wait, check"), 3)


def test_words_count_in_any_case_and_only_whole() -> None:
    assert cut_of("also sofa SO so_ so2 sO", words=9).words == 2


def test_a_word_at_the_very_end_counts_when_the_trace_ends() -> None:
    segmenter = Segmenter(words=1)
    assert segmenter.feed("well, wait", 3) is None
    assert segmenter.finish() == (10, 1)


def test_a_word_at_the_end_of_a_chunk_waits_for_what_follows() -> None:
    segmenter = Segmenter(words=1)
    assert segmenter.feed("wait", 1) is None
    assert segmenter.feed("ing so", 2) is None
    assert segmenter.feed(".", 3) == (len("waiting so"), 1)


def test_the_cut_is_told_once() -> None:
    segmenter = Segmenter(words=1)
    assert segmenter.feed("so ", 1) is not None
    assert segmenter.feed("so ", 2) is None
    assert segmenter.finish() == segmenter.cut == (2, 1)


@pytest.mark.parametrize("word", ["let me check", "", "so,"])
def test_what_is_not_a_single_word_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match="not a single word"):
        Segmenter(words=1, word_list=["so", word])


def test_fixed_tokens_cut_with_the_first_chunk_that_reaches_them() -> None:
    segmenter = Segmenter(tokens=5)
    assert segmenter.feed("so a", 4) is None
    assert segmenter.feed(" b c", 6) == (8, 1)


def test_a_trace_shorter_than_its_checkpoint_is_its_own_segment() -> None:
    assert cut_of("so 2", words=25) == (4, 1)
    assert cut_of("so 2", tokens=500) == (4, 1)
    assert cut_of("", words=25) == (0, 0)


@pytest.mark.parametrize("settings", [{}, {"words": 1, "tokens": 1}])
def test_either_words_or_tokens_must_be_given(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="either words or tokens"):
        cut_of("", **settings)


def test_an_empty_word_list_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        Segmenter(words=1, word_list=[])
