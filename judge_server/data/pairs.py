"""Labelled pairs of unfinished traces: what a judge learns from and is measured on.

A label is the equality of two final answers. Every command draws its pairs by `draw_pairs`.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import combinations
from random import Random
from typing import Literal, NamedTuple

from judge_server.data.traces import TraceRow
from judge_server.data.truncation import SegmentedTrace, TruncationRules, cut_trace

__all__ = [
    "DrawnPairs",
    "Equality",
    "Origin",
    "Pair",
    "PairCounts",
    "PairRules",
    "TraceGroup",
    "draw_pairs",
    "pairs_of_questions",
]

MOST_ANSWERS = 64
"""More answers of one question are not sorted into classes, which takes a comparison of each with each."""

Equality = Callable[[str, str], bool | None]
"""Whether two answers are equal; None where that cannot be determined."""


@dataclass(frozen=True, slots=True)
class PairRules:
    """How traces become pairs.

    `short` says what to do with traces that ended before the cut. `pairs_per_question` is a cap on the C(n, 2)
    of one question and model. A pair is trivial if one of its segments already shows an answer. With `across_models`
    traces of two models are paired too. With `with_classes` pairs know the classes of equal answers of their traces,
    where a question has at most `MOST_ANSWERS` different ones.
    """

    truncation: TruncationRules = field(default_factory=TruncationRules)
    pairs_per_question: int = 300
    keep_trivial: bool = False
    short: Literal["keep", "drop"] = "keep"
    across_models: bool = False
    with_classes: bool = False


@dataclass(frozen=True, slots=True)
class TraceGroup:
    """The cut traces that one model wrote for one question; None stands for one without an answer."""

    question_id: str
    question: str
    model: str
    traces: list[SegmentedTrace | None]


class Origin(NamedTuple):
    """Where a segment comes from.

    `trace` is the number among the model's traces of the question, from 0 in the order of the file. `answer` is the
    class of equal answers, None where it was not asked for.
    """

    model: str
    trace: int
    answer: int | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """Two segments of one question, in the order in which the judge reads them.

    `model` wrote both; of two models it is their names, joined by " + ". `origins` is None where the pair comes from
    a file of pairs.
    """

    question_id: str
    question: str
    new: str
    member: str
    same: bool
    model: str = ""
    origins: tuple[Origin, Origin] | None = None

    @property
    def traces(self) -> tuple[int, int] | None:
        """The numbers of the two traces."""
        return None if self.origins is None else (self.origins[0].trace, self.origins[1].trace)

    def swapped(self) -> "Pair":
        """The pair in the other order."""
        origins = None if self.origins is None else (self.origins[1], self.origins[0])
        return replace(self, new=self.member, member=self.new, origins=origins)


@dataclass
class PairCounts:
    """What became of the traces and the pairs.

    Traces: `traces` read, of them `unanswered` left out, `ended_before_checkpoint` (of them `short_dropped` left
    out), and `shows_answer`. Pairs: `pairs` made, of them `same`; not made: `trivial_dropped`, `capped`, and
    `undecided`, whose answers could not be compared.
    """

    traces: int = 0
    unanswered: int = 0
    ended_before_checkpoint: int = 0
    short_dropped: int = 0
    shows_answer: int = 0
    pairs: int = 0
    same: int = 0
    trivial_dropped: int = 0
    capped: int = 0
    undecided: int = 0

    @property
    def has_both_classes(self) -> bool:
        """Whether there are same-answer pairs and others."""
        return 0 < self.same < self.pairs

    @property
    def reach_cut(self) -> float:
        """Of the traces with an answer, the fraction that reaches the cut; nan without such a trace."""
        answered = self.traces - self.unanswered
        return 1.0 - self.ended_before_checkpoint / answered if answered else math.nan

    def as_dict(self) -> dict[str, int]:
        """The counts by name."""
        return asdict(self)

    def add(self, other: "PairCounts") -> None:
        """Adds the counts of other traces and pairs."""
        for name, count in other.as_dict().items():
            setattr(self, name, getattr(self, name) + count)


class UsableTrace(NamedTuple):
    """A trace that may be paired, with its model and its number among that model's traces of the question."""

    model: str
    number: int
    trace: SegmentedTrace


class DrawnPairs(NamedTuple):
    """Pairs, and what became of the traces that they were drawn from."""

    pairs: list[Pair]
    counts: PairCounts


def pairs_of_questions(
    questions: Iterable[Sequence[TraceRow]], rules: PairRules, *, equal: Equality, seed: int
) -> DrawnPairs:
    """The pairs of all questions, each given by its traces."""
    counts = PairCounts()
    pairs: list[Pair] = []
    for rows in questions:
        groups = _group_by_model(rows, rules.truncation)
        for group in groups:
            pairs += draw_pairs(group, rules, equal=equal, seed=seed, counts=counts)
        if rules.across_models:
            for one, two in combinations(groups, 2):
                pairs += draw_pairs_across(one, two, rules, equal=equal, seed=seed, counts=counts)
    return DrawnPairs(pairs, counts)


def draw_pairs(
    group: TraceGroup, rules: PairRules, *, equal: Equality, seed: int, counts: PairCounts
) -> Iterator[Pair]:
    """The C(n, 2) pairs of one group or, if they are more, as many as the cap, drawn at random.

    Each is in a random order of its two segments. The draws depend on the seed, the question's id and the group's
    traces; other questions and models do not change them. Pairs are made one by one, and `counts` is complete
    once the last has been taken.
    """
    usable = _usable_traces(group, rules, counts)
    candidates = math.comb(len(usable), 2)
    rng = Random(f"{seed}:{group.question_id}")
    numbers = map(_pair_of_number, _drawn_numbers(candidates, rules, rng, counts))
    yield from _labelled(group, usable, numbers, rules, equal=equal, rng=rng, counts=counts)


def draw_pairs_across(
    one: TraceGroup,
    two: TraceGroup,
    rules: PairRules,
    *,
    equal: Equality,
    seed: int,
    counts: PairCounts,
) -> Iterator[Pair]:
    """The pairs of a trace of one model with a trace of another, of one question; otherwise as `draw_pairs`.

    The traces are not counted again. Answer classes are not compared, because the models may come from two files,
    whose authors numbered them.
    """
    both = [
        [
            one_trace._replace(trace=replace(one_trace.trace, answer_class=None))
            for one_trace in _usable_traces(group, rules, PairCounts())
        ]
        for group in (one, two)
    ]
    named = sorted([one.model, two.model])
    group = TraceGroup(one.question_id, one.question, " + ".join(named), [])
    candidates = len(both[0]) * len(both[1])
    rng = Random(f"{seed}:{group.question_id}")
    numbers = (
        (number % len(both[0]), len(both[0]) + number // len(both[0]))
        for number in _drawn_numbers(candidates, rules, rng, counts)
    )
    yield from _labelled(
        group, [*both[0], *both[1]], numbers, rules, equal=equal, rng=rng, counts=counts
    )


def _drawn_numbers(
    candidates: int, rules: PairRules, rng: Random, counts: PairCounts
) -> Sequence[int]:
    """The numbers of the candidates that are taken, all of them or as many as the cap."""
    cap = rules.pairs_per_question
    counts.capped += max(0, candidates - cap)
    every = range(candidates)
    return every if candidates <= cap else rng.sample(every, cap)


def _labelled(
    group: TraceGroup,
    usable: Sequence[UsableTrace],
    numbers: Iterable[tuple[int, int]],
    rules: PairRules,
    *,
    equal: Equality,
    rng: Random,
    counts: PairCounts,
) -> Iterator[Pair]:
    """The pairs of these places in `usable`, each in a random order, without those that cannot be labelled."""
    classes = _answer_classes(usable, equal) if rules.with_classes else None
    for first, second in numbers:
        places = (second, first) if rng.random() < 0.5 else (first, second)
        new, member = (usable[place] for place in places)
        same = _same_answer(new.trace, member.trace, equal)
        if same is None:
            counts.undecided += 1
            continue
        counts.pairs += 1
        counts.same += same
        one, two = (
            Origin(usable[place].model, usable[place].number, classes[place] if classes else None)
            for place in places
        )
        yield Pair(
            question_id=group.question_id,
            question=group.question,
            new=new.trace.segment,
            member=member.trace.segment,
            same=same,
            model=group.model,
            origins=(one, two),
        )


def _answer_classes(usable: Sequence[UsableTrace], equal: Equality) -> list[int] | None:
    """The number of each trace's class of equal answers; None for more than `MOST_ANSWERS` different ones."""
    classes: list[SegmentedTrace] = []
    numbers: dict[tuple[str, str | int | None], int] = {}
    for one in usable:
        spelling = (one.trace.answer, one.trace.answer_class)
        if spelling in numbers:
            continue
        if len(numbers) == MOST_ANSWERS:
            return None
        found = (n for n, first in enumerate(classes) if _same_answer(one.trace, first, equal))
        numbers[spelling] = next(found, len(classes))
        if numbers[spelling] == len(classes):
            classes.append(one.trace)
    return [numbers[one.trace.answer, one.trace.answer_class] for one in usable]


def _group_by_model(rows: Sequence[TraceRow], rules: TruncationRules) -> list[TraceGroup]:
    """One question's traces, cut, by the model that wrote them."""
    groups: dict[str, TraceGroup] = {}
    for row in rows:
        group = groups.get(row.model)
        if group is None:
            first = rows[0]  # the other rows may give the question under another id
            group = TraceGroup(first.question_id, first.question, row.model, [])
            groups[row.model] = group
        group.traces.append(cut_trace(row, rules))
    return list(groups.values())


def _usable_traces(group: TraceGroup, rules: PairRules, counts: PairCounts) -> list[UsableTrace]:
    """The traces that may be paired; counts those that may not."""
    answered = [
        UsableTrace(group.model, number, trace)
        for number, trace in enumerate(group.traces)
        if trace is not None
    ]
    long_enough = [one for one in answered if rules.short == "keep" or not one.trace.ended_before]
    usable = [one for one in long_enough if rules.keep_trivial or not one.trace.shows_answer]
    counts.add(
        PairCounts(
            traces=len(group.traces),
            unanswered=len(group.traces) - len(answered),
            ended_before_checkpoint=sum(one.trace.ended_before for one in answered),
            short_dropped=len(answered) - len(long_enough),
            shows_answer=sum(one.trace.shows_answer for one in answered),
            trivial_dropped=math.comb(len(long_enough), 2) - math.comb(len(usable), 2),
        )
    )
    return usable


def _pair_of_number(number: int) -> tuple[int, int]:
    """The `number`-th of the pairs (0, 1), (0, 2), (1, 2), (0, 3), ..., without a list of them."""
    second = (1 + math.isqrt(1 + 8 * number)) // 2
    return number - math.comb(second, 2), second


def _same_answer(one: SegmentedTrace, two: SegmentedTrace, equal: Equality) -> bool | None:
    if one.answer_class is not None and two.answer_class is not None:
        return one.answer_class == two.answer_class
    return equal(one.answer, two.answer)
