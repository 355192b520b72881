"""`adaptive-consistency`: one trace after another until the leader is surely ahead (arXiv 2305.11860).

After every ballot the posterior that the leading answer is the most frequent one is computed, from the two
leading counts (Beta, the paper's choice) or from all counts (Dirichlet); above the threshold the run ends. Traces
run one at a time, so its latency is the sum of their lengths.
"""

from functools import lru_cache

import numpy as np
from scipy.special import gammainc, gammaincinv

from orchestrator.core.events import Event
from orchestrator.core.policies.base import Step, Tally
from orchestrator.core.voting import leader_posterior
from orchestrator.settings import AdaptiveConsistencySettings

__all__ = ["AdaptiveConsistency", "dirichlet_posterior"]

_NODES = 128  # of Gauss and Legendre's quadrature: exact to five digits


class AdaptiveConsistency:
    """Launches the next trace only while the leader may still be overtaken."""

    uses_checkpoints = False
    watches_tokens = False
    at_rest = True

    def __init__(self, settings: AdaptiveConsistencySettings) -> None:
        self._settings = settings
        self._tally = Tally(settings.traces)

    def start(self) -> Step:
        """Starts the first trace."""
        return Step([], self._tally.launch(1))

    def on(self, event: Event) -> Step:
        """Starts one more trace after every end, unless the vote is settled."""
        if not self._tally.ended(event) or self._settled():
            return Step([], [])
        return Step([], self._tally.launch(1))

    def voters(self, finished: tuple[int, ...]) -> list[int]:
        """Every finished trace votes."""
        return list(finished)

    def _settled(self) -> bool:
        ballots = self._tally.vote_counts
        if not ballots or sum(ballots) < self._settings.min_ballots:
            return False
        dirichlet = self._settings.posterior == "dirichlet"
        posterior = dirichlet_posterior(ballots) if dirichlet else leader_posterior(ballots)
        return (posterior or 0.0) > self._settings.confidence


@lru_cache(maxsize=1 << 14)
def dirichlet_posterior(ballots: tuple[int, ...]) -> float:
    """Probability that the first of `ballots` (largest first) is the most frequent answer of all.

    The shares have a Dirichlet posterior with a flat prior over the answers seen; a single answer has one more
    without a ballot against it. Shares are in the order of independent gamma variables, so the probability is
    the mean, over the first variable, that all others lie below it.
    """
    first, *others = ballots if len(ballots) > 1 else (*ballots, 0)
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    drawn = gammaincinv(first + 1, (nodes + 1.0) / 2.0)  # the first variable's quantiles
    below = gammainc(np.array(others)[:, np.newaxis] + 1, drawn).prod(axis=0)
    return float(weights @ below / 2.0)
