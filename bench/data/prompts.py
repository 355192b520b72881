"""Prompt templates in YAML: the message that asks a dataset's questions, and how answers are extracted."""

from pathlib import Path

import msgspec
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from orchestrator.config.explain import explain
from orchestrator.config.shipped import configs_folder
from orchestrator.config.yaml_file import read_yaml
from orchestrator.errors import ConfigError
from orchestrator.questions import Question

__all__ = ["PromptSpec", "apply_prompt", "read_prompt"]


class PromptSpec(BaseModel):
    """A template with {question} in it; `answer_regex`, where it is given, replaces the general extraction rules."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: str = Field(description="the user's message; {question} stands for the question")
    answer_regex: str | None = None

    @field_validator("prompt")
    @classmethod
    def _shows_the_question(cls, prompt: str) -> str:
        if "{question}" not in prompt:
            raise ValueError("must contain {question}")
        return prompt

    @property
    def assignments(self) -> list[str]:
        """The settings that this prompt needs, as `a.b=c`."""
        return [] if self.answer_regex is None else [f"answers.regex={self.answer_regex}"]


def read_prompt(name_or_path: str) -> PromptSpec:
    """A prompt by its name in configs/prompts, or from a YAML file.

    Raises:
        ConfigError: there is none of this name, or the file is not a prompt.
    """
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml"):
        path = configs_folder() / "prompts" / f"{name_or_path}.yaml"
    if not path.exists():
        names = sorted(each.stem for each in (configs_folder() / "prompts").glob("*.yaml"))
        raise ConfigError(f"There is no prompt '{name_or_path}'; choose one of {', '.join(names)}.")
    try:
        return PromptSpec.model_validate(read_yaml(path) or {})
    except ValidationError as error:
        raise ConfigError(explain(error, PromptSpec, {}, str(path))) from error


def apply_prompt(question: Question, spec: PromptSpec) -> Question:
    """The question inside the template; braces in the question stay as they are."""
    text = spec.prompt.replace("{question}", question.question).strip()
    return msgspec.structs.replace(question, question=text)
