"""Prompts around the questions of a dataset."""

from pathlib import Path

import pytest

from bench.data.prompts import apply_prompt, read_prompt
from orchestrator.errors import ConfigError
from orchestrator.questions import Question

QUESTION = Question(id="a", question="What is {x}?", gold="1")


def test_a_shipped_prompt_is_found_by_its_name() -> None:
    assert apply_prompt(QUESTION, read_prompt("plain")).question == "What is {x}?"
    assert "\\boxed{}" in apply_prompt(QUESTION, read_prompt("math")).question


def test_a_prompt_of_the_users_own_is_read_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text('prompt: "Q: {question}"\nanswer_regex: "= (.*)"\n')
    spec = read_prompt(str(path))
    assert apply_prompt(QUESTION, spec).question == "Q: What is {x}?"
    assert spec.assignments == ["answers.regex== (.*)"]


def test_a_prompt_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ConfigError, match="choose one of choice, math, plain"):
        read_prompt("riddle")


def test_a_prompt_without_the_question_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("prompt: hello\n")
    with pytest.raises(ConfigError, match=r"must contain \{question\}"):
        read_prompt(str(path))
