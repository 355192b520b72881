"""Labelled pairs of unfinished traces: what a judge learns from and is measured on.

A label is the equality of two final answers. Which pairs are drawn of a question and model depends on its traces, the
rules and the seed alone, so that making a data set, training and evaluation draw the same ones.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from random import Random

from judge_server.data.traces import TraceRow
from judge_server.data.truncation import PairRules, SegmentedTrace, cut_trace

__all__ = [
    "Equality",
    "Pair",
    "PairCounts",
    "TraceGroup",
    "both_orders",
    "draw_pairs",
    "make_pairs",
    "oversample_minority",
    "pairs_of_question",
    "times_shown",
]

Equality = Callable[[str, str], bool | None]
"""Whether two answers are equal; None where that cannot be told."""


@dataclass(frozen=True, slots=True)
class TraceGroup:
    """The cut traces that one model wrote for one question; None stands for one without an answer."""

    question_id: str
    question: str
    model: str
    traces: list[SegmentedTrace | None]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two segments of one question and model, in the order in which the judge reads them.

    `traces` are their numbers among the model's traces of the question, from 0 in the order of the file; None where
    the pair comes from a file of pairs.
    """

    question_id: str
    question: str
    new: str
    member: str
    same: bool
    model: str = ""
    traces: tuple[int, int] | None = None

    def swapped(self) -> "Pair":
        """The pair the other way round."""
        traces = None if self.traces is None else (self.traces[1], self.traces[0])
        return replace(self, new=self.member, member=self.new, traces=traces)


@dataclass
class PairCounts:
    """What became of the traces and the pairs.

    Traces: `traces` read, of them `unanswered` left out, `ended_before_checkpoint` (of them `short_dropped` left
    out), and `shows_answer`. Pairs: `pairs` made, of them `same`; not made: `trivial_dropped`, `capped`, and
    `undecided`, whose answers no check could tell to be equal or different.
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

    def as_dict(self) -> dict[str, int]:
        """The counts by name."""
        return asdict(self)

    def add(self, other: "PairCounts") -> None:
        """Adds the counts of other traces and pairs."""
        for name, count in other.as_dict().items():
            setattr(self, name, getattr(self, name) + count)


def make_pairs(
    groups: Iterable[Sequence[TraceRow]],
    rules: PairRules,
    *,
    equal: Equality,
    seed: int,
) -> tuple[list[Pair], PairCounts]:
    """Pairs of every group (the traces of one question), and the counts over all of them."""
    counts = PairCounts()
    pairs: list[Pair] = []
    for rows in groups:
        pairs += pairs_of_question(rows, rules, equal=equal, seed=seed, counts=counts)
    return pairs, counts


def pairs_of_question(
    rows: Sequence[TraceRow],
    rules: PairRules,
    *,
    equal: Equality,
    seed: int,
    counts: PairCounts,
) -> list[Pair]:
    """The pairs of one question's traces, within each model; adds to `counts`."""
    groups: dict[str, TraceGroup] = {}
    for row in rows:
        group = groups.get(row.model)
        if group is None:
            first = rows[0]  # another id of the same question may stand in the others
            group = TraceGroup(first.question_id, first.question, row.model, [])
            groups[row.model] = group
        group.traces.append(cut_trace(row, rules))
    return [
        pair
        for group in groups.values()
        for pair in draw_pairs(group, rules, equal=equal, seed=seed, counts=counts)
    ]


def draw_pairs(
    group: TraceGroup,
    rules: PairRules,
    *,
    equal: Equality,
    seed: int,
    counts: PairCounts,
) -> Iterator[Pair]:
    """The C(n, 2) pairs of one group or, if they are more, as many as the cap, drawn at random.

    Each is in a random order of its two segments. They are made one by one, and `counts` is complete once the
    last has been taken.
    """
    rng = Random(f"{seed}:{group.question_id}")
    answered = [(number, trace) for number, trace in enumerate(group.traces) if trace is not None]
    long_enough = [each for each in answered if rules.short == "keep" or not each[1].ended_before]
    usable = [each for each in long_enough if rules.keep_trivial or not each[1].shows_answer]
    candidates = math.comb(len(usable), 2)
    counts.add(
        PairCounts(
            traces=len(group.traces),
            unanswered=len(group.traces) - len(answered),
            ended_before_checkpoint=sum(trace.ended_before for _, trace in answered),
            short_dropped=len(answered) - len(long_enough),
            shows_answer=sum(trace.shows_answer for _, trace in answered),
            trivial_dropped=math.comb(len(long_enough), 2) - candidates,
            capped=max(0, candidates - rules.pairs_per_question),
        )
    )
    drawn: Sequence[int] = range(candidates)
    if candidates > rules.pairs_per_question:
        drawn = rng.sample(drawn, rules.pairs_per_question)
    for number in drawn:
        first, second = _pair_of_number(number)
        one, other = usable[first], usable[second]
        (new_number, new), (member_number, member) = (
            (other, one) if rng.random() < 0.5 else (one, other)
        )
        same = _same_answer(new, member, equal)
        if same is None:
            counts.undecided += 1
            continue
        counts.pairs += 1
        counts.same += same
        yield Pair(
            question_id=group.question_id,
            question=group.question,
            new=new.segment,
            member=member.segment,
            same=same,
            model=group.model,
            traces=(new_number, member_number),
        )


def _pair_of_number(number: int) -> tuple[int, int]:
    """The `number`-th of the pairs (0, 1), (0, 2), (1, 2), (0, 3), ...: no list of them is needed to draw some."""
    second = (1 + math.isqrt(1 + 8 * number)) // 2
    return number - math.comb(second, 2), second


def _same_answer(one: SegmentedTrace, two: SegmentedTrace, equal: Equality) -> bool | None:
    if one.answer_class is not None and two.answer_class is not None:
        return one.answer_class == two.answer_class
    return equal(one.answer, two.answer)


def both_orders(pairs: Iterable[Pair]) -> list[Pair]:
    """Each pair, and each pair the other way round: equality has no order, and a judge must learn that."""
    return [ordered for pair in pairs for ordered in (pair, pair.swapped())]


def times_shown(*, same: int, different: int, factor: int) -> dict[bool, int]:
    """How often a pair of each class (True: same answer) is shown, so that the rarer one is shown `factor` times.

    arXiv 2510.08483 shows "not identical" twice; of two equally frequent classes it is that one.
    """
    rarer = same < different
    return {rarer: factor, not rarer: 1}


def oversample_minority(pairs: Sequence[Pair], factor: int) -> list[Pair]:
    """The pairs with every pair of the rarer class `factor` times, side by side."""
    same = sum(pair.same for pair in pairs)
    times = times_shown(same=same, different=len(pairs) - same, factor=factor)
    return [pair for pair in pairs for _ in range(times[pair.same])]
