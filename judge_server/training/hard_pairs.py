"""Pairs that look like the other class: a judge that is trained on them cannot do with what it sees at first glance."""

import math
from collections import defaultdict
from collections.abc import Sequence

from judge_server.data.pairs import Pair
from judge_server.evaluation.baselines import words

__all__ = ["hardest"]


def hardest(pairs: Sequence[Pair], share: float) -> list[Pair]:
    """This part (0..1, rounded up) of each question's pairs of each class, in the order given.

    Of pairs with the same answer those with the fewest words in common are kept, of pairs that differ those with the most.
    """
    similarities = words(pairs, lambda _: None)
    classes: defaultdict[tuple[str, bool], list[int]] = defaultdict(list)
    for number, pair in enumerate(pairs):
        classes[pair.question_id, pair.same].append(number)
    kept: set[int] = set()
    for (_, same), numbers in classes.items():
        numbers.sort(key=lambda number: similarities[number], reverse=not same)
        kept.update(numbers[: math.ceil(share * len(numbers))])
    return [pair for number, pair in enumerate(pairs) if number in kept]
