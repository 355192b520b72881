"""Prompts around questions: by name, from a file, or by question and model."""

from pathlib import Path
from typing import Any

import pytest

from orchestrator.config.load import load_settings
from orchestrator.config.prompts import chat_for, default_prompt, general_prompt, read_prompt
from orchestrator.core.prompting import Message
from orchestrator.errors import ConfigError
from orchestrator.questions import Question
from orchestrator.settings import PromptSettings, Settings

QUESTION = Question(id="a", question="What is {x}?", gold="1")
CHAT = Question(id="a", question="Why?", messages=(Message("user", "Why?"),))
CHOICE = Question(id="a", question="Which?", options=("red", "blue"))


def loaded(
    *assignments: str, file: Path | None = None, flags: dict[str, Any] | None = None
) -> Settings:
    return load_settings(file=file, environ={}, assignments=assignments, flags=flags or {})


def sent(settings: Settings, question: Question = QUESTION, model: str = "gpt-9") -> str:
    return chat_for(question, settings, model)[-1].content


def written(folder: Path, text: str, name: str = "mine.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


# --- by name ----------------------------------------------------------------------------------------


def test_a_shipped_prompt_is_found_by_its_name() -> None:
    assert sent(loaded("prompt.name=plain")) == "What is {x}?"
    assert sent(loaded("prompt.name=math")).endswith("put your final answer within \\boxed{}.")


def test_a_named_prompt_in_python_needs_no_loading() -> None:
    assert sent(Settings(prompt=PromptSettings(name="plain"))) == "What is {x}?"


def test_the_template_of_a_prompt_is_part_of_the_settings() -> None:
    assert loaded("prompt.name=math").prompt.template == read_prompt("math").prompt


def test_a_prompt_of_the_users_own_is_read_from_its_file(tmp_path: Path) -> None:
    mine = written(tmp_path, 'prompt: "Q: {question}"\nanswer_regex: "= (.*)"\n')
    settings = loaded(f"prompt.name={mine}")
    assert sent(settings) == "Q: What is {x}?"
    assert settings.answers.regex == "= (.*)"
    assert loaded(f"prompt.name={mine}", "answers.regex=(.)").answers.regex == "(.)"


def test_a_run_keeps_its_template_when_the_file_of_its_prompt_is_gone(tmp_path: Path) -> None:
    saved = written(tmp_path, 'prompt: {name: gone.yaml, template: "Q: {question}"}\n')
    assert sent(loaded(file=saved)) == "Q: What is {x}?"


def test_a_later_prompt_replaces_the_template_of_an_earlier_source(tmp_path: Path) -> None:
    saved = written(tmp_path, 'prompt: {name: gone.yaml, template: "Q: {question}"}\n')
    assert sent(loaded(file=saved, flags={"prompt.name": "plain"})) == "What is {x}?"
    assert sent(loaded(file=saved, flags={"prompt.name": "auto"})).endswith("\\boxed{}.")
    assert sent(loaded("prompt.template=A: {question}", file=saved)) == "A: What is {x}?"
    assert sent(loaded("prompt.template=A: {question}", flags={"prompt.name": "plain"})) == (
        "What is {x}?"
    )


def test_a_prompt_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ConfigError, match="choose one of choice, math, plain"):
        loaded("prompt.name=riddle")


def test_a_prompt_without_the_question_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"must contain \{question\}"):
        loaded(f"prompt.name={written(tmp_path, 'prompt: hello')}")
    with pytest.raises(ConfigError, match=r"must contain \{question\}"):
        loaded("prompt.template=hello")


def test_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"prompt\.name is \['math'\]"):
        loaded(file=written(tmp_path, "prompt: {name: [math]}"))


# --- by question and model ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "model", "name"),
    [
        (QUESTION, "gpt-9", "math"),
        (QUESTION, "Qwen/Qwen3-8B", "math"),
        (QUESTION, "nano-reasoner", "plain"),
        (CHOICE, "gpt-9", "choice"),
        (CHOICE, "nano-reasoner", "plain"),
        (CHAT, "gpt-9", "plain"),
        (Question(id="a", question="1+1? Put it into \\boxed{}."), "gpt-9", "plain"),
        (Question(id="a", question='1+1? End with "Answer: X".'), "gpt-9", "plain"),
        (Question(id="a", question="Which? End with: the answer is (X)"), "gpt-9", "plain"),
        (Question(id="a", question="What is the answer to everything?"), "gpt-9", "math"),
    ],
)
def test_a_plain_question_gets_an_instruction_where_it_needs_one(
    question: Question, model: str, name: str
) -> None:
    assert default_prompt(question, Settings(), model) == name
    if name == "plain":
        assert sent(Settings(), question, model) == question.question


def test_answers_that_a_pattern_finds_need_no_instruction() -> None:
    assert sent(loaded("answers.regex=so (.*)")) == "What is {x}?"


def test_the_user_is_told_of_an_instruction_that_nobody_asked_for() -> None:
    assert general_prompt(Settings(), "gpt-9") == "math"
    assert general_prompt(Settings(), "nano-reasoner") is None
    assert general_prompt(loaded("prompt.name=plain"), "gpt-9") is None
    assert general_prompt(loaded("prompt.name=math"), "gpt-9") is None


def test_a_named_prompt_stands_around_the_last_message_of_a_chat() -> None:
    assert sent(loaded("prompt.name=math"), CHAT).startswith("Why?\n\nPlease reason")


def test_a_system_message_is_a_setting() -> None:
    chat = chat_for(CHAT, loaded("prompt.system=Be brief."), "gpt-9")
    assert chat == (Message("system", "Be brief."), Message("user", "Why?"))
