"""The shipped tokenizer: any text, readable tokens, a chat template with roles."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from transformers import AutoTokenizer

from nano.evaluate import WEIGHTS
from nano.questions import fixed_question_texts
from nano.tokenizer import CHAT_TEMPLATE, VOCABULARY_SIZE, save_tokenizer, train_tokenizer

pytestmark = pytest.mark.slow  # imports transformers

TOKENIZER = Tokenizer.from_file(str(WEIGHTS / "tokenizer.json"))
CONTROL = ("<|im_start|>", "<|im_end|>", "<|endoftext|>")


def tokens_of(text: str) -> list[str]:
    return [TOKENIZER.decode([number]) for number in TOKENIZER.encode(text).ids]


@given(st.text())
def test_any_text_comes_back_unchanged(text: str) -> None:
    ids = TOKENIZER.encode(text).ids
    assert TOKENIZER.decode(ids, skip_special_tokens=False) == text


@pytest.mark.parametrize(
    "text",
    ["Zażółć gęślą jaźń 🦊\n\t x", "a  b   c ", r"\frac{1}{2} = 0.5", "<think>\n</think>", ""],
)
def test_text_far_from_the_task_comes_back_unchanged(text: str) -> None:
    assert TOKENIZER.decode(TOKENIZER.encode(text).ids) == text


def test_digits_stand_alone_and_expressions_are_short() -> None:
    assert tokens_of("12+7=19") == ["1", "2", "+", "7", "=", "1", "9"]


@pytest.mark.parametrize(
    "word", ["wait", "so", "since", "because", "apples", "maybe", "not", "check"]
)
def test_common_words_are_one_token_after_a_space(word: str) -> None:
    assert len(TOKENIZER.encode(f" {word}").ids) == 1


@pytest.mark.parametrize("label", ["identical", "not", " identical", " not"])
def test_the_judges_labels_begin_with_one_token(label: str) -> None:
    assert tokens_of("<|im_start|>assistant\n" + label)[-1] == label


def test_the_vocabulary_is_small_and_the_questions_are_short() -> None:
    assert TOKENIZER.get_vocab_size() <= VOCABULARY_SIZE
    assert max(len(TOKENIZER.encode(text).ids) for text in fixed_question_texts()) < 100


def test_control_tokens_are_skipped_and_thinking_tags_are_seen() -> None:
    ids = TOKENIZER.encode("<think>\nSo 4.\n</think>\n\\boxed{4}<|im_end|>").ids
    assert TOKENIZER.decode(ids) == "<think>\nSo 4.\n</think>\n\\boxed{4}"
    assert all(len(TOKENIZER.encode(token).ids) == 1 for token in (*CONTROL, "<think>", "</think>"))


def test_the_chat_template_renders_roles_and_the_turn_to_write() -> None:
    chat = AutoTokenizer.from_pretrained(WEIGHTS)
    messages = [{"role": "system", "content": "Add."}, {"role": "user", "content": "2+2?"}]
    rendered = chat.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert rendered == (
        "<|im_start|>system\nAdd.<|im_end|>\n<|im_start|>user\n2+2?<|im_end|>\n<|im_start|>assistant\n"
    )
    begun = [*messages, {"role": "assistant", "content": "<think>\nSo"}]
    continued = chat.apply_chat_template(begun, tokenize=False, continue_final_message=True)
    assert continued == rendered + "<think>\nSo"
    assert chat.eos_token == "<|im_end|>"


def test_a_saved_tokenizer_is_one_that_old_and_new_transformers_load(tmp_path: Path) -> None:
    save_tokenizer(train_tokenizer(["So 12+7=19."] * 10), tmp_path)
    config = json.loads((tmp_path / "tokenizer_config.json").read_text())
    assert config["tokenizer_class"] == "PreTrainedTokenizerFast"
    assert config["chat_template"] == CHAT_TEMPLATE
    shipped = json.loads((WEIGHTS / "tokenizer_config.json").read_text())
    assert config == shipped
