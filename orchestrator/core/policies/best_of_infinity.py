"""`best-of-infinity`: one trace after another until a Bayes factor says that the leader is the mode (arXiv 2509.21091).

Reimplements the public code (jkomiyama/BoInf-code-publish) for a single model. After every vote the answers' frequencies have a
Dirichlet posterior: its parameters are the counts and, for answers not seen so far, a small weight, each plus one. The Bayes
factor that the leading answer is the most frequent one is (kinds of answers, the unseen counted) times P / (1 - P). At
the threshold the run ends. The public code estimates P from a thousand draws; here it is an integral, so the
same votes always decide alike. Traces run one at a time, so its latency is the sum of their lengths.
"""

import math
from functools import lru_cache

import numpy as np

from orchestrator.core.policies.one_by_one import OneByOne
from orchestrator.settings import BestOfInfinitySettings

__all__ = ["BestOfInfinity", "bayes_factor", "mode_probability"]

_STEPS = 4096
_SPREADS = 12.0
"""How many standard deviations of the largest gamma variable the integral reaches beyond its mean."""


class BestOfInfinity(OneByOne):
    """Launches the next trace only while the leader may not be the mode."""

    def __init__(self, settings: BestOfInfinitySettings) -> None:
        super().__init__(settings)
        self._settings = settings

    def settles(self, votes: tuple[int, ...]) -> bool:
        """Whether the leader is sure enough."""
        return bayes_factor(votes, self._settings.unseen_weight) >= self._settings.bayes_factor


def bayes_factor(vote_counts: tuple[int, ...], unseen: float) -> float:
    """The Bayes factor that the first of `vote_counts` (largest first) is the most frequent answer of all."""
    probability = mode_probability((*vote_counts, unseen))
    if probability >= 1.0:
        return math.inf
    return (len(vote_counts) + 1) * probability / (1.0 - probability)


@lru_cache(maxsize=1 << 14)
def mode_probability(counts: tuple[float, ...]) -> float:
    """The probability that the first of `counts` belongs to the largest of Dirichlet frequencies, each count plus one.

    Frequencies are in the order of independent gamma variables, so it is the mean, over the first variable, of the
    chance that all others lie below: an integral by the midpoint rule, with distribution functions summed up on its steps.
    """
    shapes = np.array(counts)[:, np.newaxis] + 1.0
    top = float(shapes.max())
    width = (top + _SPREADS * math.sqrt(top) + _SPREADS) / _STEPS
    at = (np.arange(_STEPS) + 0.5) * width
    log_gammas = np.array([[math.lgamma(count + 1.0)] for count in counts])
    density = np.exp((shapes - 1.0) * np.log(at) - at - log_gammas)  # (answers, steps)
    below = (np.cumsum(density, axis=1) - density / 2.0) * width
    below /= below[:, -1:] + density[:, -1:] * width / 2.0
    mass = density[0] / density[0].sum()
    return float(mass @ below[1:].prod(axis=0))
