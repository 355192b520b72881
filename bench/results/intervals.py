"""Means over questions with 95 % intervals by bootstrap, single and paired.

The rule: questions are drawn, with replacement, and each brings the mean of its resamplings. Its spread over
questions holds the noise of the resamplings too.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import bootstrap

__all__ = ["MeanInterval", "interval_of_mean"]

_DRAWS = 5_000


class MeanInterval(NamedTuple):
    """A mean with its 95 % percentile interval."""

    mean: float
    low: float
    high: float


def interval_of_mean(values: Sequence[float], *, seed: int = 0) -> MeanInterval:
    """The mean of one value per question; give differences for a paired comparison.

    With a single question the interval is the value itself.
    """
    mean = float(np.mean(values))
    if len(set(values)) == 1:
        return MeanInterval(mean, mean, mean)
    result = bootstrap(
        (np.asarray(values),),
        np.mean,
        n_resamples=_DRAWS,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    low, high = result.confidence_interval
    return MeanInterval(mean, float(low), float(high))
