"""Recorded questions in one common form, whatever file they come from.

Answers are already classes: two traces of a question gave equal answers exactly when their `answer` is the same text,
so a replay compares no mathematics.
"""

from dataclasses import dataclass
from functools import cached_property

from orchestrator.errors import DatasetError

__all__ = ["NO_ANSWER", "RecordedQuestion", "RecordedTrace", "Regeneration"]

NO_ANSWER = "ERR"
"""What stands among the probes where no answer could be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Regeneration:
    """A trace that was cut and continued once more: the further tokens, and the class of its answer."""

    tokens: int
    answer: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedTrace:
    """One whole trace.

    `tokens` is its generated length, at least 1. `answer` names its class of equal answers, None where no answer could
    be extracted. `text` is None where only the length was kept. `probes` are the answers that a forced ending gave
    every `RecordedQuestion.probe_tokens` tokens. `confidences` has one entry for each token, None where they were not
    kept. `reward`, 0..1, is the reward model's, None where there is none. `regeneration` is None where the trace was not
    cut and continued.
    """

    tokens: int
    answer: str | None
    text: str | None = None
    probes: tuple[str, ...] = ()
    confidences: tuple[float, ...] | None = None
    reward: float | None = None
    regeneration: Regeneration | None = None


@dataclass(frozen=True, kw_only=True)
class RecordedQuestion:
    """One question with all of its traces; `correct` are the classes equal to the gold answer."""

    id: str
    question: str
    correct: frozenset[str]
    traces: tuple[RecordedTrace, ...]
    probe_tokens: int | None = None

    def probe_interval(self, policy: str) -> int:
        """`probe_tokens`, for a policy that cannot do without.

        Raises:
            DatasetError: the question was recorded without probes.
        """
        if self.probe_tokens is None:
            raise DatasetError(
                f"Question '{self.id}' was recorded without probes; leave out the policy {policy}."
            )
        return self.probe_tokens

    @cached_property
    def has_text(self) -> bool:
        """Whether every trace has its text, so that a checkpoint can be at a reasoning word."""
        return all(trace.text is not None for trace in self.traces)

    @cached_property
    def has_confidences(self) -> bool:
        """Whether every trace has the confidence of each token."""
        return all(trace.confidences is not None for trace in self.traces)

    @cached_property
    def has_regenerations(self) -> bool:
        """Whether every trace with an answer was cut and continued once more."""
        return all(
            trace.regeneration is not None for trace in self.traces if trace.answer is not None
        )

    @cached_property
    def has_rewards(self) -> bool:
        """Whether at least one trace has a reward."""
        return any(trace.reward is not None for trace in self.traces)
