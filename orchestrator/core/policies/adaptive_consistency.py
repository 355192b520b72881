"""`adaptive-consistency`: one trace after another until the leader is surely ahead (arXiv 2305.11860).

After every ballot the posterior that the leading answer is the most frequent one is computed, from the two
leading counts (Beta, the paper's choice) or from all counts (Dirichlet); above the threshold the run ends. Traces
run one at a time, so its latency is the sum of their lengths.
"""

import math
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

from orchestrator.core.policies.one_by_one import OneByOne
from orchestrator.core.voting import leader_posterior
from orchestrator.settings import AdaptiveConsistencySettings

__all__ = ["AdaptiveConsistency", "dirichlet_posterior"]

_NODES = 128  # of Gauss and Legendre's quadrature: exact to five digits


class AdaptiveConsistency(OneByOne):
    """Launches the next trace only while the leader may still be overtaken."""

    def __init__(self, settings: AdaptiveConsistencySettings) -> None:
        super().__init__(settings)
        self._settings = settings

    def settles(self, votes: tuple[int, ...]) -> bool:
        """Whether the leader is sure enough."""
        dirichlet = self._settings.posterior == "dirichlet"
        posterior = dirichlet_posterior(votes) if dirichlet else leader_posterior(votes)
        return (posterior or 0.0) > self._settings.confidence


@cache
def _quadrature() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Gauss and Legendre's nodes and weights on -1 to 1, shapes (nodes,)."""
    return np.polynomial.legendre.leggauss(_NODES)


@lru_cache(maxsize=1 << 14)
def dirichlet_posterior(vote_counts: tuple[int, ...]) -> float:
    """Probability that the first of `vote_counts` (largest first) is the most frequent answer of all.

    The answers' frequencies have a Dirichlet posterior with a flat prior over the answers seen; a single answer has
    one more without votes against it. Frequencies are in the order of independent gamma variables, so the probability
    is the mean, over the first variable, that all others lie below it: an integral, by Gauss and Legendre.
    """
    first, *others = vote_counts if len(vote_counts) > 1 else (*vote_counts, 0)
    spread = math.sqrt(first + 1)
    low, high = max(0.0, first + 1 - 12 * spread), first + 1 + 20 * spread
    nodes, weights = _quadrature()
    at = (low + high) / 2 + (high - low) / 2 * nodes
    counts = np.arange(first + 1)[:, np.newaxis]
    log_factorials = np.array([math.lgamma(count + 1) for count in range(first + 1)])[:, np.newaxis]
    poisson = np.exp(counts * np.log(at) - at - log_factorials)  # (counts, nodes)
    below = 1.0 - np.cumsum(
        poisson, axis=0
    )  # the chance that a gamma variable of each count is smaller
    density = poisson[first]
    return float(weights @ (density * below[others].prod(axis=0)) * (high - low) / 2)
