"""The baselines that a judge must beat: similarity of two segments without any training.

A baseline is symmetric, reads the whole segments, gives a score in 0..1, and is not fitted to the labels of the
pairs that it is measured on. Tf-idf weighs words by how rare they are among the segments scored. The embedding
baseline is in `judge_server.evaluation.embedding`.
"""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np

from judge_server.data.pairs import Pair
from judge_server.evaluation.scoring import OnProgress

__all__ = ["distinct_segments", "overlap", "tfidf", "words"]

_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_WORD = re.compile(r"\w+")
_REMEMBERED_SEGMENTS = 1 << 14


def overlap(pairs: Sequence[Pair], on_progress: OnProgress) -> list[float]:
    """Numbers in common: the overlap coefficient of the sets of numbers written, |A and B| / min(|A|, |B|).

    Intermediate results are numbers. Division by the smaller set allows for one trace that has come further. 0
    where a segment has no number.
    """
    numbers = _set_of(_NUMBER)
    return _of_sets(pairs, numbers, lambda one, two: min(len(one), len(two)))


def words(pairs: Sequence[Pair], on_progress: OnProgress) -> list[float]:
    """Words in common: the Jaccard index of the sets of words and numbers, |A and B| / |A or B|."""
    return _of_sets(pairs, _set_of(_WORD), lambda one, two: len(one | two))


def tfidf(pairs: Sequence[Pair], on_progress: OnProgress) -> list[float]:
    """Cosine of the tf-idf vectors over words and numbers, also those of one character, as in mathematics."""
    from sklearn.feature_extraction.text import (
        TfidfVectorizer,  # a second that no other baseline needs
    )

    segments = distinct_segments(pairs)
    if not any(_WORD.search(segment) for segment in segments):
        return [0.0] * len(pairs)
    vectors = TfidfVectorizer(token_pattern=_WORD.pattern).fit_transform(segments)
    place = {segment: number for number, segment in enumerate(segments)}
    new = vectors[[place[pair.new] for pair in pairs]]
    member = vectors[[place[pair.member] for pair in pairs]]
    cosines = np.asarray(new.multiply(member).sum(axis=1)).ravel()  # (pairs,)
    return [float(cosine) for cosine in np.clip(cosines, 0.0, 1.0)]


def distinct_segments(pairs: Sequence[Pair]) -> list[str]:
    """Every segment once, in an order that depends on the segments alone."""
    return sorted({segment for pair in pairs for segment in (pair.new, pair.member)})


def _set_of(pattern: re.Pattern[str]) -> Callable[[str], frozenset[str]]:
    @lru_cache(maxsize=_REMEMBERED_SEGMENTS)
    def found(segment: str) -> frozenset[str]:
        return frozenset(pattern.findall(segment.casefold()))

    return found


def _of_sets(
    pairs: Sequence[Pair],
    items_of: Callable[[str], frozenset[str]],
    size: Callable[[frozenset[str], frozenset[str]], int],
) -> list[float]:
    scores = []
    for pair in pairs:
        one, two = items_of(pair.new), items_of(pair.member)
        scores.append(len(one & two) / max(1, size(one, two)))
    return scores
