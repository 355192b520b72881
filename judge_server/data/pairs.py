"""Labelled pairs of unfinished traces: what a judge learns from and is measured on.

The rules: a label is the equality of two final answers; a segment ends where the online client would end
it; and no question is on both sides of a split (the lesson of arXiv 2510.08483 v2, where the AUROC of v1,
0.87 with shared questions, fell to 0.7072 without).
"""

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from random import Random
from typing import Literal

from judge_server.data.traces import TraceRow
from orchestrator.core.answer import extract_answer
from orchestrator.core.segment import Segmenter
from orchestrator.settings import DEFAULT_REASONING_WORDS

__all__ = [
    "Equality",
    "Pair",
    "PairCounts",
    "PairRules",
    "SegmentedTrace",
    "Split",
    "TokenEnds",
    "TraceGroup",
    "both_orders",
    "cut_trace",
    "make_pairs",
    "oversample_minority",
    "pairs_of_group",
    "pairs_of_question",
    "split_of",
    "times_shown",
]

Split = Literal["train", "validation", "test"]
Equality = Callable[[str, str], bool | None]
"""Whether two answers are equal; None where that cannot be told."""
TokenEnds = Callable[[str], Sequence[int]]
"""Where each token of a text ends, in characters from its start."""


@dataclass(frozen=True, slots=True)
class PairRules:
    """How traces become pairs.

    A trace is cut after `words` reasoning words or, with `tokens` and `token_ends`, after so many tokens; of a
    longer segment the last `max_segment_chars` are kept, as the judge is shown them. `short` says what to do with
    traces that ended before the cut. `pairs_per_question` is a cap on the C(n, 2) of one question and model. A
    pair is trivial if one of its segments already shows an answer.
    """

    words: int = 25
    word_list: tuple[str, ...] = DEFAULT_REASONING_WORDS
    pairs_per_question: int = 300
    keep_trivial: bool = False
    tokens: int | None = None
    token_ends: TokenEnds | None = None
    max_segment_chars: int | None = None
    short: Literal["keep", "drop"] = "keep"
    answer_regex: str | None = None
    trust_answer_class: bool = False

    def __post_init__(self) -> None:
        if (self.tokens is None) != (self.token_ends is None):
            raise ValueError("tokens and token_ends go together")


@dataclass(frozen=True, slots=True)
class SegmentedTrace:
    """A trace up to its checkpoint, and the answer that it went on to give.

    `ended_before`: the trace was over before the cut. `shows_answer`: an answer can be read in what was written
    up to the cut, before it was shortened to the judge's length. `answer_class` takes the place of `answer`.
    """

    segment: str
    answer: str
    ended_before: bool
    shows_answer: bool
    answer_class: str | int | None = None


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


def cut_trace(row: TraceRow, rules: PairRules) -> SegmentedTrace | None:
    """The trace up to its checkpoint, or all of it if it ended before; None if it gave no answer."""
    if row.answer is None:
        return None
    segment, ended_before = _cut(row.text, rules)
    is_whole_with_answer = ended_before and row.answer in segment
    shows_answer = is_whole_with_answer or bool(extract_answer(segment, regex=rules.answer_regex))
    return SegmentedTrace(
        segment=segment if rules.max_segment_chars is None else segment[-rules.max_segment_chars :],
        answer=row.answer,
        ended_before=ended_before,
        shows_answer=shows_answer,
        answer_class=row.answer_class if rules.trust_answer_class else None,
    )


def _cut(text: str, rules: PairRules) -> tuple[str, bool]:
    """The segment, and whether the text ended before its cut."""
    if rules.tokens is not None and rules.token_ends is not None:
        ends = rules.token_ends(text)
        is_short = len(ends) < rules.tokens
        return text if is_short else text[: ends[rules.tokens - 1]], is_short
    segmenter = Segmenter(words=rules.words, word_list=rules.word_list)
    segmenter.feed(text, 0)
    cut = segmenter.finish()
    return text[: cut.chars], cut.words < rules.words


def make_pairs(
    groups: Iterable[Sequence[TraceRow]],
    rules: PairRules,
    *,
    equal: Equality,
    rng: Random,
) -> tuple[list[Pair], PairCounts]:
    """Pairs of every group (the traces of one question), and the counts over all of them."""
    counts = PairCounts()
    pairs: list[Pair] = []
    for rows in groups:
        pairs += pairs_of_question(rows, rules, equal=equal, rng=rng, counts=counts)
    return pairs, counts


def pairs_of_question(
    rows: Sequence[TraceRow],
    rules: PairRules,
    *,
    equal: Equality,
    rng: Random,
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
        for pair in pairs_of_group(group, rules, equal=equal, rng=rng, counts=counts)
    ]


def pairs_of_group(
    group: TraceGroup,
    rules: PairRules,
    *,
    equal: Equality,
    rng: Random,
    counts: PairCounts,
) -> Iterator[Pair]:
    """The C(n, 2) pairs of one group or, if they are more, as many as the cap, drawn at random.

    Each is in a random order of its two segments. They are made one by one, and `counts` is complete once the
    last has been taken.
    """
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


def split_of(question_id: str, *, validation: float, test: float, seed: int) -> Split:
    """Where a question belongs; it depends on the question alone, so no other data can move it.

    `validation` and `test` are shares of all questions, in 0..1.
    """
    digest = hashlib.sha256(f"{seed}:{question_id}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    if place < test:
        return "test"
    return "validation" if place < test + validation else "train"


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
