"""Means over questions with 95 % intervals by bootstrap, single and paired.

The bootstrap draws questions, with replacement, each with the mean of its resamplings; so the interval includes the
noise of the resamplings.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import bootstrap

__all__ = ["MeanInterval", "interval_of_mean"]

_BOOTSTRAP_SAMPLES = 5_000


class MeanInterval(NamedTuple):
    """A mean with its 95 % percentile interval."""

    mean: float
    low: float
    high: float


def interval_of_mean(values: Sequence[float], *, seed: int = 0) -> MeanInterval:
    """The mean of one value per question, with its interval; of paired differences for a paired comparison.

    If all values are equal, the interval is that value.
    """
    mean = float(np.mean(values))
    if len(set(values)) == 1:
        return MeanInterval(mean, mean, mean)
    result = bootstrap(
        (np.asarray(values),),
        np.mean,
        n_resamples=_BOOTSTRAP_SAMPLES,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    low, high = result.confidence_interval
    return MeanInterval(mean, float(low), float(high))
