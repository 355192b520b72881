"""What a family of reasoning models has in common: how its thinking is marked, and how an answer is forced out."""

from pydantic import Field

from orchestrator.settings.section import Section, Texts

__all__ = ["ModelSettings"]


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
        description="text that makes the model write its answer next, once the thinking is closed; "
        "null: traces of this model cannot be asked for their answer before their end",
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

    def _thinks(self, text: str) -> bool:
        """Whether a trace with this text has begun to think, and not ended it."""
        begun = self.thinking_open is None or self.thinking_open.strip() in text
        ended = self.thinking_close is not None and self.thinking_close.strip() in text
        return begun and not ended
