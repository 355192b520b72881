"""Recorded questions in one common form, whatever file they come from; replay reads nothing else.

The rule: answers are already classes. Two traces of a question ended alike exactly when their `answer` is the
same text, so nothing downstream has to know mathematics.
"""

from dataclasses import dataclass
from functools import cached_property

__all__ = ["RecordedQuestion", "RecordedTrace"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedTrace:
    """One whole trace.

    `tokens` is its generated length, at least 1. `answer` names its class of equal answers, None where no
    answer could be read. `text` is None where only the length was kept. `probes` are the answers that were
    forced out of it along the way, every `RecordedQuestion.probe_tokens` tokens. `confidences` has one entry for each
    token, None where they were not kept. `reward` in 0..1 is what a reward model gave it, None where none did.
    """

    tokens: int
    answer: str | None
    text: str | None = None
    probes: tuple[str, ...] = ()
    confidences: tuple[float, ...] | None = None
    reward: float | None = None


@dataclass(frozen=True, kw_only=True)
class RecordedQuestion:
    """One question with all of its traces; `correct` are the classes equal to the right answer."""

    id: str
    question: str
    correct: frozenset[str]
    traces: tuple[RecordedTrace, ...]
    probe_tokens: int | None = None

    @cached_property
    def has_text(self) -> bool:
        """Whether every trace can be cut at a reasoning word."""
        return all(trace.text is not None for trace in self.traces)

    @cached_property
    def has_confidences(self) -> bool:
        """Whether every trace tells how sure the model was of each token."""
        return all(trace.confidences is not None for trace in self.traces)

    @cached_property
    def has_rewards(self) -> bool:
        """Whether a reward model was asked and gave a reward at least once."""
        return any(trace.reward is not None for trace in self.traces)
