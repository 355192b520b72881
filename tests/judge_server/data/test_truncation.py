"""Where traces are cut, by reasoning words or by tokens, and what their segments hold."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge_server.data.traces import TraceRow
from judge_server.data.truncation import (
    SegmentedTrace,
    Truncation,
    TruncationRules,
    cut_text,
    cut_trace,
    find_token_ends,
    read_word_list,
)
from orchestrator.config.shipped import configs_folder
from orchestrator.core.judging import JudgeSpec
from orchestrator.core.segment import Segmenter
from orchestrator.errors import ConfigError
from orchestrator.settings import DEFAULT_REASONING_WORDS

LONG = "So one. " * 30 + r"The end is \boxed{7}."


def cut(
    text: str = LONG, answer: str = "7", rules: TruncationRules | None = None
) -> SegmentedTrace:
    row = TraceRow(question_id="q1", question="How many?", text=text, answer=answer, model="m")
    found = cut_trace(row, rules or TruncationRules())
    assert found
    return found


def test_a_trace_is_cut_after_its_25th_reasoning_word() -> None:
    found = cut()
    assert found.segment == ("So one. " * 25)[: -len(" one. ")]
    assert not found.ended_before
    assert not found.shows_answer


def test_a_trace_that_ends_before_the_cut_is_taken_whole() -> None:
    text = r"So the answer is \boxed{7}"
    found = cut(text)
    assert found.segment == text
    assert found.ended_before
    assert found.shows_answer


def test_a_trace_without_an_answer_has_no_segment() -> None:
    row = TraceRow(question_id="q1", question="How many?", text=LONG, answer=None)
    assert cut_trace(row, TruncationRules()) is None


@given(
    st.lists(st.sampled_from(["so", "So ", "wait", " ", ".", "\n", "é", "also"]), max_size=60),
    st.data(),
)
def test_the_cut_is_that_of_a_stream_in_any_chunks(words: list[str], data: st.DataObject) -> None:
    text = "".join(words)
    places = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    streamed = Segmenter(words=3)
    for start, end in zip([0, *places], [*places, len(text)], strict=True):
        streamed.feed(text[start:end], 0)
    found = cut(text, rules=TruncationRules(Truncation(3)))
    assert found.segment == text[: streamed.finish().chars]


@pytest.mark.parametrize(
    ("text", "answer", "shows"),
    [
        (r"\boxed{7} " + "so one. " * 30, "8", True),  # given before the cut, then doubted
        ("The answer is 7. " + "so one. " * 30, "7", True),
        ("so 7, so 7, " * 30, "7", False),
        ("so #### 7", "7", True),  # over before the cut, with the answer in a form of its own
        ("so I give up", "7", False),
    ],
)
def test_a_segment_shows_an_answer_that_can_be_read_in_it(
    text: str, answer: str, shows: bool
) -> None:
    assert cut(text, answer).shows_answer is shows


def test_an_answer_before_the_end_that_the_judge_is_shown_counts_as_shown() -> None:
    found = cut(r"\boxed{7} " + "so one. " * 30, rules=TruncationRules(max_segment_chars=12))
    assert found.segment == "e. so one. so"[-12:]
    assert found.shows_answer


def test_a_long_segment_keeps_its_end() -> None:
    found = cut("first " + "so one. " * 30, rules=TruncationRules(max_segment_chars=10))
    assert found.segment == "so one. so"
    assert not found.ended_before


def ends_of_words(text: str) -> list[int]:
    """A tokenizer whose tokens are words."""
    return [match.end() for match in re.finditer(r"\S+", text)]


def test_a_trace_is_cut_after_so_many_tokens() -> None:
    rules = TruncationRules(Truncation(3, "tokens"), token_ends=ends_of_words)
    long, short = cut("one two three four", rules=rules), cut("one two", rules=rules)
    assert (long.segment, long.ended_before) == ("one two three", False)
    assert (short.segment, short.ended_before) == ("one two", True)


def test_tokens_cannot_be_counted_without_a_tokenizer() -> None:
    with pytest.raises(ValueError, match="needs token_ends"):
        TruncationRules(Truncation(3, "tokens"))
    with pytest.raises(ConfigError, match="--tokenizer"):
        find_token_ends(Truncation(3, "tokens"), None)


def test_words_need_no_tokenizer(tmp_path: Path) -> None:
    assert find_token_ends(Truncation(3), tmp_path) is None


def test_a_judge_is_cut_by_tokens_where_its_spec_counts_them(spec: JudgeSpec) -> None:
    assert Truncation.of_judge(spec) == Truncation(spec.segment_words, "words")
    by_tokens = spec.model_copy(update={"segment_tokens": 9})
    assert str(Truncation.of_judge(by_tokens)) == "9 tokens"


def test_the_list_named_default_is_the_default() -> None:
    assert read_word_list("default") == read_word_list(None) == DEFAULT_REASONING_WORDS


def test_the_paper_names_three_words_and_the_extended_list_holds_all_others() -> None:
    assert read_word_list("paper") == ("wait", "thus", "since")
    assert set(DEFAULT_REASONING_WORDS) < set(read_word_list("extended"))


@pytest.mark.parametrize(
    "file", sorted((configs_folder() / "words").glob("*.yaml")), ids=lambda p: p.stem
)
def test_every_shipped_list_can_be_cut_by_and_names_no_word_twice(file: Path) -> None:
    words = read_word_list(str(file))
    assert len(set(words)) == len(words)
    Segmenter(words=1, word_list=words)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("checkpoint:\n  words: 9\n", "holds no word list"),
        ("checkpoint:\n  word_list: [two words]\n", "word_list"),
        ("- wait\n", "must hold sections"),
    ],
)
def test_a_file_without_a_word_list_is_refused(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "words.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_word_list(str(file))


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="default, extended, paper"):
        read_word_list("papers")


def test_a_real_tokenizer_reports_where_its_tokens_end(folder: Path) -> None:
    text = "So é, identical!"
    token_ends = find_token_ends(Truncation(9, "tokens"), folder)
    assert token_ends
    ends = token_ends(text)
    assert ends[-1] == len(text)
    assert list(ends) == sorted(ends)
    assert len(ends) > 1


@pytest.mark.slow  # imports transformers
def test_a_folder_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no tokenizer"):
        find_token_ends(Truncation(9, "tokens"), tmp_path)


@pytest.mark.parametrize(("percent", "kept"), [(10, "a"), (25, "ab"), (99, "abcdefghi")])
def test_a_trace_is_cut_at_a_part_of_its_characters(percent: int, kept: str) -> None:
    rules = TruncationRules(Truncation(percent, "percent"))
    assert cut_text("abcdefghij", rules) == (kept, False)
