"""Word lists and tokenizers by name."""

from pathlib import Path

import pytest

from judge_server.data.truncation import read_word_list, token_ends
from orchestrator.config.shipped import configs_folder
from orchestrator.core.segment import Segmenter
from orchestrator.errors import ConfigError
from orchestrator.settings import DEFAULT_REASONING_WORDS


def test_the_list_named_default_is_the_default() -> None:
    assert read_word_list("default") == DEFAULT_REASONING_WORDS


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
def test_a_file_that_is_no_word_list_is_refused(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "words.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_word_list(str(file))


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="default, extended, paper"):
        read_word_list("papers")


def test_a_real_tokenizer_tells_where_its_tokens_end(folder: Path) -> None:
    text = "So é, identical!"
    ends = token_ends(folder)(text)
    assert ends[-1] == len(text)
    assert list(ends) == sorted(ends)
    assert len(ends) > 1


def test_a_folder_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no tokenizer"):
        token_ends(tmp_path)
