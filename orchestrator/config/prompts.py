"""Prompt templates: which one asks a question, from `prompt.name`, the question and the model.

The template of a named prompt is put into the settings when they are loaded, so that a run keeps the text it began with.
Only `auto` is decided for each question, by the name of the model that is served.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Protocol, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from orchestrator.config.explain import explain
from orchestrator.config.presets import preset_prompt
from orchestrator.config.shipped import prompt_file
from orchestrator.config.yaml_file import read_yaml
from orchestrator.core.prompting import PLACE, Message, build_chat, user_message
from orchestrator.errors import ConfigError
from orchestrator.questions import Question
from orchestrator.settings import AUTO_PROMPT, Settings

__all__ = [
    "PromptSpec",
    "chat_for",
    "default_prompt",
    "general_prompt",
    "read_prompt",
    "with_templates",
]

_GENERAL, _CHOICE, _UNCHANGED = "math", "choice", "plain"

_OWN_INSTRUCTION = re.compile(r"\\boxed|\banswer is \(|\banswer:", re.IGNORECASE)
"""In a question that says itself how its answer is to be written."""


class PromptSpec(BaseModel):
    """A template with {question} in it; `answer_regex`, where it is given, replaces the general extraction rules."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: str = Field(description="the user's message; {question} stands for the question")
    answer_regex: str | None = None

    @field_validator("prompt")
    @classmethod
    def _shows_the_question(cls, prompt: str) -> str:
        if PLACE not in prompt:
            raise ValueError(f"must contain {PLACE}")
        return prompt


class _Assigned(Protocol):
    @property
    def path(self) -> str: ...
    @property
    def value(self) -> Any: ...
    @property
    def origin(self) -> str: ...
    def _replace(self, *, path: str, value: Any) -> Self: ...


A = TypeVar("A", bound=_Assigned)


def read_prompt(name_or_path: str) -> PromptSpec:
    """A prompt by its name in configs/prompts, or from a YAML file.

    Raises:
        ConfigError: there is none of this name, or the file is not a prompt.
    """
    path = prompt_file(name_or_path)
    try:
        return PromptSpec.model_validate(read_yaml(path) or {})
    except ValidationError as error:
        raise ConfigError(explain(error, PromptSpec, {}, str(path))) from error


def with_templates(given: Iterable[A]) -> list[A]:
    """The assignments of settings, with the template and the answer's pattern behind the last name of a prompt.

    A template that comes later, or from the same source as the name, takes precedence: the prompt is not read then.

    Raises:
        ConfigError: there is no such prompt.
    """
    items = list(given)
    places = [place for place, item in enumerate(items) if item.path == "prompt.name"]
    if not places:
        return items
    place, named = places[-1], items[places[-1]]
    beside = {
        item.path: item.value
        for number, item in enumerate(items)
        if number > place or item.origin == named.origin
    }
    if not isinstance(named.value, str) or beside.get("prompt.template") is not None:
        return items
    added = [
        named._replace(path=path, value=value)
        for path, value in _settings_of(named.value).items()
        if path not in beside
    ]
    return [*items[: place + 1], *added, *items[place + 1 :]]


def _settings_of(name: str) -> dict[str, str | None]:
    """What a prompt's name stands for, by setting."""
    if name == AUTO_PROMPT:
        return {"prompt.template": None}
    spec = read_prompt(name)
    pattern = {} if spec.answer_regex is None else {"answers.regex": spec.answer_regex}
    return {"prompt.template": spec.prompt, **pattern}


def chat_for(question: Question, settings: Settings, model: str) -> tuple[Message, ...]:
    """The chat that asks the question.

    Args:
        question: a text, or a chat of its own.
        settings: those of the run.
        model: the name of the model that is served.
    """
    template = settings.prompt.template
    if template is None:
        named = settings.prompt.name
        template = _template(
            default_prompt(question, settings, model) if named == AUTO_PROMPT else named
        )
    messages = question.messages or user_message(question.question)
    return build_chat(messages, template=template, system=settings.prompt.system)


def default_prompt(question: Question, settings: Settings, model: str) -> str:
    """The name of the prompt that `auto` stands for.

    Answers can be read only where they are marked, so a question without an instruction gets one. It stays as it is
    where it is a chat, gives its own instruction, its answers are read by a pattern of the user, or the model's preset
    says so.
    """
    if question.messages:
        return _UNCHANGED
    preset = preset_prompt(model)
    if preset is not None:
        return preset
    if settings.answers.regex is not None or _OWN_INSTRUCTION.search(question.question):
        return _UNCHANGED
    return _CHOICE if question.options else _GENERAL


def general_prompt(settings: Settings, model: str) -> str | None:
    """The name of the prompt that puts an instruction behind plain questions by itself; None if none does."""
    if settings.prompt.template is not None or settings.prompt.name != AUTO_PROMPT:
        return None
    name = default_prompt(Question(id="", question="?"), settings, model)
    return None if name == _UNCHANGED else name


@lru_cache(maxsize=64)
def _template(name: str) -> str:
    return read_prompt(name).prompt
