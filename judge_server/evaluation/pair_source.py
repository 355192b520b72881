"""The pairs that judges are measured on, from traces or from a file of pairs.

The rule: the pairs of a question do not depend on which other questions are used; so two evaluations agree on the
questions that they share.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Literal, Protocol

from judge_server.data.alpaca import read_pairs
from judge_server.data.labels import UNDECIDED, AnswerEquality
from judge_server.data.pairs import DrawnPairs, Pair, PairCounts, PairRules, pairs_of_questions
from judge_server.data.traces import group_by_question, read_all_traces
from judge_server.data.truncation import (
    Truncation,
    TruncationRules,
    find_token_ends,
    read_word_list,
)
from judge_server.evaluation.candidates import Candidate
from judge_server.evaluation.scoring import say
from orchestrator.errors import DatasetError

__all__ = [
    "FilePairSource",
    "PairSource",
    "SamplingOptions",
    "TracePairSource",
    "unused_questions",
]


@dataclass(frozen=True, kw_only=True)
class SamplingOptions:
    """Which pairs are made of the traces; `judge_server.cli.evaluate` describes each flag."""

    pairs_per_question: int = 300
    seed: int = 0
    short: Literal["keep", "drop"] = "keep"
    keep_trivial: bool = False
    word_list: str | None = None
    tokenizer: Path | None = None
    across_models: bool = False


class PairSource(Protocol):
    """Where pairs come from; `questions` are all question ids, in the order of the file."""

    questions: Sequence[str]

    def text(self, question: str) -> str:
        """The text of the question with this id."""

    def pairs(
        self, questions: Iterable[str], cut: Truncation, word_list: str | None = None
    ) -> DrawnPairs:
        """The pairs of these questions; `word_list` takes the place of the source's own."""


class TracePairSource:
    """Pairs drawn from finished traces; equal answers are those of one `answer_class`, else by math-verify.

    Raises DatasetError if a file cannot be used, ConfigError if the word list cannot.
    """

    def __init__(self, files: Sequence[Path], sampling: SamplingOptions) -> None:
        self._sampling = sampling
        self._word_list = read_word_list(sampling.word_list)
        self._groups = group_by_question(read_all_traces(files))
        self.questions: Sequence[str] = tuple(self._groups)

    def text(self, question: str) -> str:
        """See `PairSource`."""
        return self._groups[question][0].question

    def pairs(
        self, questions: Iterable[str], cut: Truncation, word_list: str | None = None
    ) -> DrawnPairs:
        """See `PairSource`. Raises ConfigError for a cut by tokens without a tokenizer, or an unknown list."""
        sampling = self._sampling
        rules = PairRules(
            truncation=TruncationRules(
                truncation=cut,
                word_list=self._word_list if word_list is None else read_word_list(word_list),
                token_ends=find_token_ends(cut, sampling.tokenizer),
                trust_answer_class=True,
            ),
            pairs_per_question=sampling.pairs_per_question,
            keep_trivial=sampling.keep_trivial,
            short=sampling.short,
            across_models=sampling.across_models,
            with_classes=True,
        )
        rows = (self._groups[question] for question in questions)
        with AnswerEquality() as equal:
            drawn = pairs_of_questions(rows, rules, equal=equal, seed=sampling.seed)
        if drawn.counts.undecided:
            say(f"{drawn.counts.undecided:,} pairs left out: {UNDECIDED}.")
        return drawn


class FilePairSource:
    """Pairs of a file, unchanged, up to the cap of each question.

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

    def pairs(
        self, questions: Iterable[str], cut: Truncation, word_list: str | None = None
    ) -> DrawnPairs:
        """See `PairSource`; the pairs were cut when the file was made."""
        sampling = self._sampling
        drawn: list[Pair] = []
        counts = PairCounts()
        for question in questions:
            found = self._groups[question]
            if len(found) > sampling.pairs_per_question:
                counts.capped += len(found) - sampling.pairs_per_question
                rng = Random(f"{sampling.seed}:{question}")
                found = rng.sample(found, sampling.pairs_per_question)
            drawn += found
        counts.pairs = len(drawn)
        counts.same = sum(pair.same for pair in drawn)
        return DrawnPairs(drawn, counts)


def unused_questions(source: PairSource, candidates: Sequence[Candidate], split: str) -> list[str]:
    """The questions that are in the wanted split of every training.

    Raises DatasetError if there is none.
    """
    total = len(source.questions)
    records = {one.name: one.record for one in candidates if one.record is not None}
    names = " and ".join(records)
    seen = {
        question
        for question in source.questions
        if any(one.has_seen(question, source.text(question)) for one in records.values())
    }
    if split == "all" or not records:
        say(f"All {total} questions are used.")
        if seen:
            say(
                f"{len(seen)} of them were in the training of {names}, so its figures are too good."
            )
        return list(source.questions)
    questions = [
        question
        for question in source.questions
        if all(one.split(question) == split for one in records.values())
    ]
    if split == "test" and seen.intersection(questions):
        say(
            f"{len(seen.intersection(questions))} questions are left out: the training of {names} had them "
            "under other ids."
        )
        questions = [question for question in questions if question not in seen]
    if not questions:
        raise DatasetError(
            f"None of the {total} questions is in the {split} split of the training of {names}; "
            "add --split all if the training used none of them."
        )
    say(
        f"{len(questions)} of {total} questions are used: the {split} split of the training of {names}."
    )
    return questions
