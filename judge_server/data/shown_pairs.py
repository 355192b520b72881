"""Which of the labelled pairs a training shows, in which orders and how often."""

import math
from collections.abc import Iterable, Sequence
from random import Random

from judge_server.data.pairs import Pair

__all__ = ["balanced", "both_orders", "oversample_minority", "times_shown"]


def both_orders(pairs: Iterable[Pair]) -> list[Pair]:
    """Each pair in both orders: equality is symmetric, and a judge must learn that."""
    return [ordered for pair in pairs for ordered in (pair, pair.swapped())]


def balanced(pairs: Sequence[Pair], same_per_different: float, *, seed: int) -> list[Pair]:
    """All pairs that differ, and of each question's same-answer pairs at most so many for each of these, drawn at random.

    A question whose answers are all alike says nothing about what makes two traces differ, so none of its pairs is kept.
    """
    different: dict[str, int] = {}
    alike: dict[str, list[int]] = {}
    for number, pair in enumerate(pairs):
        if pair.same:
            alike.setdefault(pair.question_id, []).append(number)
        else:
            different[pair.question_id] = different.get(pair.question_id, 0) + 1
    left_out: set[int] = set()
    for question, numbers in alike.items():
        kept = math.ceil(same_per_different * different.get(question, 0))
        if len(numbers) > kept:
            rng = Random(f"{seed}:balance:{question}")
            left_out.update(rng.sample(numbers, len(numbers) - kept))
    return [pair for number, pair in enumerate(pairs) if number not in left_out]


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
