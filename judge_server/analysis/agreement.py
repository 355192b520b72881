"""How often two traces of a question end in the same answer, and how long traces are before they are cut.

All pairs of a question are counted, from the sizes of its classes of equal answers. This is the preliminary experiment
of arXiv 2510.08483 (section 2), which finds more than 80 % of the pairs alike.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from judge_server.data.pairs import MOST_ANSWERS, Equality
from judge_server.data.traces import TraceRow
from judge_server.data.truncation import TruncationRules, cut_text

__all__ = ["DIFFICULTIES", "CutLength", "QuestionAgreement", "difficulty_of", "question_agreements"]

DIFFICULTIES = (
    "all right",
    "75 % to 99 % right",
    "50 % to 75 % right",
    "25 % to 50 % right",
    "less than 25 % right",
    "gold answer unknown",
)
"""Of a question, by the fraction of its traces with the right answer; from easy to hard."""


@dataclass(frozen=True, slots=True)
class CutLength:
    """One trace: its characters up to the cut, all its characters, and whether it was over before the cut."""

    cut: int
    whole: int
    ended_before: bool


@dataclass(frozen=True, slots=True)
class QuestionAgreement:
    """One question under one model.

    classes: the number of traces with each answer, the largest first. right: traces with the gold answer, None where
    that is unknown. lengths: one entry a trace, those without an answer too.
    """

    question_id: str
    model: str
    classes: tuple[int, ...]
    right: int | None
    lengths: tuple[CutLength, ...]

    @property
    def traces(self) -> int:
        """All traces."""
        return len(self.lengths)

    @property
    def answered(self) -> int:
        """Traces with an answer."""
        return sum(self.classes)

    @property
    def pairs(self) -> int:
        """Pairs of traces with an answer."""
        return math.comb(self.answered, 2)

    @property
    def same(self) -> int:
        """Of the pairs, those with the same answer."""
        return sum(math.comb(size, 2) for size in self.classes)


def question_agreements(
    groups: Mapping[str, Sequence[TraceRow]], rules: TruncationRules, equal: Equality
) -> list[QuestionAgreement]:
    """One entry for each question and model, in the order of the files.

    Equal answers are those of one `answer_class` where every answered trace has one, else those that `equal` takes
    for equal. Answers that cannot be compared in time count as different.
    """
    found = []
    for question, rows in groups.items():
        by_model: dict[str, list[TraceRow]] = {}
        for row in rows:
            by_model.setdefault(row.model, []).append(row)
        found += [_agreement(question, model, own, rules, equal) for model, own in by_model.items()]
    return found


def difficulty_of(question: QuestionAgreement) -> str:
    """One of `DIFFICULTIES`; a trace without an answer is not right."""
    if question.right is None:
        return DIFFICULTIES[-1]
    if question.right == question.traces:
        return DIFFICULTIES[0]
    quarter = math.floor(4 * question.right / question.traces)
    return DIFFICULTIES[4 - quarter]


def _agreement(
    question: str, model: str, rows: Sequence[TraceRow], rules: TruncationRules, equal: Equality
) -> QuestionAgreement:
    classes = _classes([row for row in rows if row.answer is not None], equal)
    gold = next((row.gold for row in rows if row.gold is not None), None)
    right = None
    if gold is not None:
        right = sum(len(each) for each in classes if equal(each[0].answer or "", gold))
    return QuestionAgreement(
        question_id=question,
        model=model,
        classes=tuple(sorted(map(len, classes), reverse=True)),
        right=right,
        lengths=tuple(_length(row, rules) for row in rows),
    )


def _classes(rows: Iterable[TraceRow], equal: Equality) -> list[list[TraceRow]]:
    """The answered rows by equal answers; of more than `MOST_ANSWERS` spellings the further ones stand alone."""
    rows = list(rows)
    classed = all(row.answer_class is not None for row in rows)
    classes: list[list[TraceRow]] = []
    place: dict[str | int | None, int] = {}
    for row in rows:
        name = row.answer_class if classed else row.answer
        if name not in place:
            alike = (n for n, each in enumerate(classes) if _are_equal(each[0], row, equal))
            compares = not classed and len(place) < MOST_ANSWERS
            place[name] = next(alike, len(classes)) if compares else len(classes)
            if place[name] == len(classes):
                classes.append([])
        classes[place[name]].append(row)
    return classes


def _are_equal(one: TraceRow, two: TraceRow, equal: Equality) -> bool:
    return bool(equal(one.answer or "", two.answer or ""))


def _length(row: TraceRow, rules: TruncationRules) -> CutLength:
    text, ended_before = cut_text(row.text, rules)
    return CutLength(len(text), len(row.text), ended_before)
