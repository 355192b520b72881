"""What a judge must beat: likeness of two segments without any training.

The rule: a baseline is symmetric, looks at the whole segments and gives 0..1, and its definition is fixed here,
not fitted to the pairs that it is measured on. The overlap and the words know nothing else; tf-idf
knows how rare a word is among the segments scored; the embedding is in `judge_server.evaluation.embedding`.
"""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from judge_server.data.pairs import Pair
from judge_server.evaluation.scoring import Advance

__all__ = ["distinct_segments", "overlap", "tfidf", "words"]

_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_WORD = re.compile(r"\w+")
_REMEMBERED_SEGMENTS = 1 << 14


def overlap(pairs: Sequence[Pair], advance: Advance) -> list[float]:
    """Numbers in common: the overlap coefficient of the sets of numbers written, |A and B| / min(|A|, |B|).

    Intermediate results are numbers, and the shorter set decides, because one trace may have come further. 0 where
    a segment has no number.
    """
    numbers = _set_of(_NUMBER)
    return _of_sets(pairs, numbers, lambda one, two: min(len(one), len(two)))


def words(pairs: Sequence[Pair], advance: Advance) -> list[float]:
    """Words in common: the Jaccard index of the sets of words and numbers, |A and B| / |A or B|."""
    return _of_sets(pairs, _set_of(_WORD), lambda one, two: len(one | two))


def tfidf(pairs: Sequence[Pair], advance: Advance) -> list[float]:
    """Cosine of the tf-idf vectors over words and numbers, also of one character: in mathematics they matter."""
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
