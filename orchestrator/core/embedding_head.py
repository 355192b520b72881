"""The head of a judge of the kind embedding-head: p(identical) from the vectors of two segments.

A vector is brought to length 1, projected to a few numbers a or b, and the score is linear in (a, b, |a-b|, a*b)
(after arXiv 1705.02364, section 3.1). The projection is made once for each segment, so a pair costs next to nothing.
"""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["EmbeddingHead", "Vector"]

Vector = NDArray[np.float64]


class EmbeddingHead(msgspec.Struct, frozen=True, kw_only=True):
    """A trained head for vectors of length `hidden`.

    `projection` is (width, hidden) and `offset` (width,): a segment's numbers are projection @ vector + offset.
    `weights` is (4 * width,), of a, b, |a-b| and a*b in this order, and `bias` is added.
    """

    projection: list[list[float]]
    offset: list[float]
    weights: list[float]
    bias: float

    def check(self) -> None:
        """Raises ValueError for a head whose parts do not fit together or are not finite."""
        width, hidden = len(self.projection), len(self.projection[0]) if self.projection else 0
        if not hidden or any(len(row) != hidden for row in self.projection):
            raise ValueError("its projection is no matrix")
        if len(self.offset) != width or len(self.weights) != 4 * width:
            raise ValueError("its offset or weights do not fit its projection")
        numbers = [*self.offset, *self.weights, self.bias, *np.ravel(self.projection)]
        if not np.isfinite(numbers).all():
            raise ValueError("a number in it is not finite")

    def project(self, vectors: Sequence[Sequence[float]]) -> list[Vector]:
        """The numbers of each segment, (width,).

        Raises ValueError for vectors that are not finite, have no direction, or are not as long as the head's.
        """
        given = np.asarray(vectors, np.float64)  # (segments, hidden)
        hidden = len(self.projection[0])
        if given.ndim != 2 or given.shape[1] != hidden:
            raise ValueError(f"the head reads vectors of {hidden} numbers")
        lengths = np.linalg.norm(given, axis=1, keepdims=True)
        if not (np.isfinite(lengths).all() and (lengths > 0.0).all()):
            raise ValueError("a vector has no direction")
        return list(given / lengths @ np.asarray(self.projection).T + np.asarray(self.offset))

    def probability(self, one: ArrayLike, two: ArrayLike) -> float:
        """p(identical), in 0..1, of two segments given by their numbers, (width,) each."""
        a, b = np.asarray(one, np.float64), np.asarray(two, np.float64)
        features = np.concatenate([a, b, np.abs(a - b), a * b])
        score = float(features @ np.asarray(self.weights) + self.bias)
        return float(np.exp(-np.logaddexp(0.0, -score)))
