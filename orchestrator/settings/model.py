"""How a model is asked, how its thinking is marked, and how an answer is forced out of it."""

from typing import Annotated

from pydantic import AfterValidator, Field

from orchestrator.settings.section import Section, Texts

__all__ = ["AUTO_PROMPT", "ModelSettings", "PromptSettings"]

AUTO_PROMPT = "auto"
"""The name of the prompt that depends on the question and the model."""


def _with_question(template: str) -> str:
    if "{question}" not in template:
        raise ValueError("must contain {question}")
    return template


class ModelSettings(Section):
    """How the reasoner's model thinks and answers; `--preset` takes all of it from configs/models."""

    family: str | None = Field(
        default=None, description="the preset that these values are from; for readers of a run only"
    )
    names: Texts = Field(
        default=(),
        description="names of models to which the preset is suggested; * stands for any characters, case is ignored",
    )
    thinking_open: str | None = Field(
        default=None,
        description="text with which a trace begins to think; null: it thinks from its first token on",
    )
    thinking_close: str | None = Field(
        default=None,
        description="text that ends the thinking; null: nothing separates thinking and answer",
    )
    force_answer: str | None = Field(
        default=None,
        description="text that makes the model write its answer next, once the thinking is closed; may be empty for one "
        "that writes nothing else there; null: traces of this model cannot be asked for their answer before their end",
    )

    def forced_ending(self, text: str) -> str | None:
        """What to put behind the text of an unfinished trace, so that the model writes its answer next.

        Closes the thinking first if it is still open. The markers in it are control tokens of the model. None for a
        model without `force_answer`.
        """
        if self.force_answer is None:
            return None
        if self.thinking_close is not None and self._thinks(text):
            return self.thinking_close + self.force_answer.lstrip("\n")
        return self.force_answer

    def behind_thinking(self, text: str) -> str:
        """What a trace has written behind its thinking; empty as long as it thinks, or where nothing separates the two."""
        mark = (self.thinking_close or "").strip()
        return text.rpartition(mark)[2] if mark and mark in text else ""

    def _thinks(self, text: str) -> bool:
        """Whether a trace with this text has begun to think, and not ended it."""
        begun = self.thinking_open is None or self.thinking_open.strip() in text
        ended = self.thinking_close is not None and self.thinking_close.strip() in text
        return begun and not ended


class PromptSettings(Section):
    """The chat that asks a question."""

    name: str = Field(
        default=AUTO_PROMPT,
        description="a name in configs/prompts, or a YAML file; auto: an instruction that makes answers readable, "
        "where the question gives none and the model needs one",
    )
    template: Annotated[str, AfterValidator(_with_question)] | None = Field(
        default=None,
        description="the user's message, with {question} in it; null: that of the named prompt",
    )
    system: str | None = Field(
        default=None,
        description="the system message of chats that have none of their own; null or empty: none",
    )
