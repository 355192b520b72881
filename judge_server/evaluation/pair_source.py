"""The pairs that judges are measured on, from traces or from a file of pairs.

The pairs of a question depend on its traces, the cut and the seed, and not on which other questions are used; so two
evaluations agree on the questions that they share.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Literal, Protocol

from judge_server.data.alpaca import read_pairs
from judge_server.data.labels import UNDECIDED, AnswerEquality
from judge_server.data.pairs import Pair, PairCounts, pairs_of_question
from judge_server.data.traces import group_by_question, read_traces
from judge_server.data.truncation import PairRules, Truncation, read_word_list, token_ends
from judge_server.evaluation.scoring import say
from orchestrator.errors import ConfigError, DatasetError
from orchestrator.settings import DEFAULT_REASONING_WORDS

__all__ = ["FilePairSource", "PairSource", "SamplingOptions", "TracePairSource"]


@dataclass(frozen=True, kw_only=True)
class SamplingOptions:
    """Which pairs are made of the traces; `judge_server.cli.evaluate` says what each flag means."""

    pairs_per_question: int = 300
    seed: int = 0
    short: Literal["keep", "drop"] = "keep"
    keep_trivial: bool = False
    word_list: str | None = None
    tokenizer: Path | None = None


class PairSource(Protocol):
    """Where pairs come from; `questions` are the ids of all, in the order of the file."""

    questions: Sequence[str]

    def text(self, question: str) -> str:
        """What the question of this id asks."""

    def pairs(self, questions: Iterable[str], cut: Truncation) -> tuple[list[Pair], PairCounts]:
        """The pairs of these questions, and what became of their traces."""


class TracePairSource:
    """Pairs drawn from finished traces; equal answers are those of one `answer_class`, else by math-verify.

    Raises DatasetError if the file cannot be used, ConfigError if the word list cannot.
    """

    def __init__(self, file: Path, sampling: SamplingOptions) -> None:
        self._sampling = sampling
        self._word_list = (
            read_word_list(sampling.word_list) if sampling.word_list else DEFAULT_REASONING_WORDS
        )
        self._groups = group_by_question(read_traces(file))
        self.questions: Sequence[str] = tuple(self._groups)

    def text(self, question: str) -> str:
        """See `PairSource`."""
        return self._groups[question][0].question

    def pairs(self, questions: Iterable[str], cut: Truncation) -> tuple[list[Pair], PairCounts]:
        """See `PairSource`. Raises ConfigError for a cut by tokens without a tokenizer."""
        rules, counts = self._rules(cut), PairCounts()
        pairs: list[Pair] = []
        with AnswerEquality() as equal:
            for question in questions:
                pairs += pairs_of_question(
                    self._groups[question],
                    rules,
                    equal=equal,
                    seed=self._sampling.seed,
                    counts=counts,
                )
        if counts.undecided:
            say(f"{counts.undecided:,} pairs left out: {UNDECIDED}.")
        return pairs, counts

    def _rules(self, cut: Truncation) -> PairRules:
        sampling, by_tokens = self._sampling, cut.unit == "tokens"
        if by_tokens and sampling.tokenizer is None:
            raise ConfigError(
                "To cut by tokens, name the folder of the reasoner's tokenizer with --tokenizer."
            )
        return PairRules(
            words=cut.count,
            word_list=self._word_list,
            tokens=cut.count if by_tokens else None,
            token_ends=token_ends(sampling.tokenizer) if by_tokens and sampling.tokenizer else None,
            pairs_per_question=sampling.pairs_per_question,
            short=sampling.short,
            keep_trivial=sampling.keep_trivial,
            trust_answer_class=True,
        )


class FilePairSource:
    """Pairs as they stand in a file, at most as many of a question as wanted.

    Raises DatasetError if the file cannot be used.
    """

    def __init__(self, file: Path, sampling: SamplingOptions) -> None:
        self._sampling = sampling
        self._groups: dict[str, list[Pair]] = {}
        for pair in read_pairs(file):
            self._groups.setdefault(pair.question_id, []).append(pair)
        if not self._groups:
            raise DatasetError(f"{file} holds no pairs; make them with deepprune-judge pairs.")
        self.questions: Sequence[str] = tuple(self._groups)

    def text(self, question: str) -> str:
        """See `PairSource`."""
        return self._groups[question][0].question

    def pairs(self, questions: Iterable[str], cut: Truncation) -> tuple[list[Pair], PairCounts]:
        """See `PairSource`; they were cut when the file was made."""
        drawn: list[Pair] = []
        counts = PairCounts()
        for question in questions:
            found = self._groups[question]
            if len(found) > self._sampling.pairs_per_question:
                rng = Random(f"{self._sampling.seed}:{question}")
                counts.capped += len(found) - self._sampling.pairs_per_question
                found = rng.sample(found, self._sampling.pairs_per_question)
            drawn += found
        counts.pairs = len(drawn)
        counts.same = sum(pair.same for pair in drawn)
        return drawn, counts
