"""Labelled pairs of unfinished traces: what a judge learns from and is measured on.

The rules: a label is the equality of two final answers; a segment ends where the online client would end
it; and no question is on both sides of a split (the lesson of arXiv 2510.08483 v2, where the AUROC of v1,
0.87 with shared questions, fell to 0.7072 without).
"""

import hashlib
import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from random import Random
from typing import Literal

from judge_server.traces import TraceRow
from orchestrator.core.segment import DEFAULT_REASONING_WORDS, Segmenter

__all__ = [
    "Pair",
    "PairCounts",
    "PairRules",
    "SegmentedTrace",
    "Split",
    "both_orders",
    "cut_trace",
    "make_pairs",
    "oversample_minority",
    "pairs_of_question",
    "same_text",
    "split_of",
]

Split = Literal["train", "validation", "test"]
Equality = Callable[[str, str], bool]


@dataclass(frozen=True, slots=True)
class PairRules:
    """How traces become pairs; `pairs_per_question` is a cap on the C(n, 2)."""

    words: int = 25
    word_list: tuple[str, ...] = DEFAULT_REASONING_WORDS
    pairs_per_question: int = 300
    keep_trivial: bool = False


@dataclass(frozen=True, slots=True)
class SegmentedTrace:
    """A trace up to its checkpoint, and the answer that it went on to give."""

    segment: str
    answer: str
    ended_before: bool
    shows_answer: bool


@dataclass(frozen=True, slots=True)
class Pair:
    """Two segments of one question, in the order in which the judge reads them."""

    question_id: str
    question: str
    new: str
    member: str
    same: bool
    model: str = ""


@dataclass
class PairCounts:
    """What became of the traces and the pairs."""

    traces: int = 0
    unanswered: int = 0
    ended_before_checkpoint: int = 0
    pairs: int = 0
    same: int = 0
    trivial_dropped: int = 0

    def as_dict(self) -> dict[str, int]:
        """The counts by name."""
        return asdict(self)


def cut_trace(row: TraceRow, rules: PairRules) -> SegmentedTrace | None:
    """The trace up to its checkpoint, or all of it if it ended before; None if it gave no answer."""
    if row.answer is None:
        return None
    segmenter = Segmenter(words=rules.words, word_list=rules.word_list)
    segmenter.feed(row.text, 0)
    cut = segmenter.finish()
    segment = row.text[: cut.chars]
    return SegmentedTrace(
        segment=segment,
        answer=row.answer,
        ended_before=cut.words < rules.words,
        shows_answer="\\boxed" in segment,
    )


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
    """C(n, 2) pairs of one question's traces, at most the cap, each in a random order; adds to `counts`.

    A pair is trivial, and left out unless the rules keep it, when both segments already show the answer.
    """
    traces = [trace for row in rows if (trace := cut_trace(row, rules)) is not None]
    counts.traces += len(rows)
    counts.unanswered += len(rows) - len(traces)
    counts.ended_before_checkpoint += sum(trace.ended_before for trace in traces)

    candidates = list(itertools.combinations(traces, 2))
    wanted = [
        (one, two)
        for one, two in candidates
        if rules.keep_trivial or not (one.shows_answer and two.shows_answer)
    ]
    counts.trivial_dropped += len(candidates) - len(wanted)
    if len(wanted) > rules.pairs_per_question:
        wanted = rng.sample(wanted, rules.pairs_per_question)

    pairs = []
    for one, two in wanted:
        new, member = (one, two) if rng.random() < 0.5 else (two, one)
        pairs.append(
            Pair(
                question_id=rows[0].question_id,
                question=rows[0].question,
                new=new.segment,
                member=member.segment,
                same=equal(one.answer, two.answer),
                model=rows[0].model,
            )
        )
    counts.pairs += len(pairs)
    counts.same += sum(pair.same for pair in pairs)
    return pairs


def same_text(one: str, two: str) -> bool:
    """Equality of short answers: as integers where both are, else as text without outer spaces."""
    one, two = one.strip(), two.strip()
    try:
        return int(one) == int(two)
    except ValueError:
        return one == two


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
    return [
        ordered
        for pair in pairs
        for ordered in (pair, replace(pair, new=pair.member, member=pair.new))
    ]


def oversample_minority(pairs: Sequence[Pair], factor: int) -> list[Pair]:
    """The pairs with every pair of the rarer class `factor` times (arXiv 2510.08483: 2, "not identical")."""
    same = sum(pair.same for pair in pairs)
    rarer = same < len(pairs) - same
    return [pair for pair in pairs for _ in range(factor if pair.same == rarer else 1)]
