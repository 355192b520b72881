"""`race`: traces side by side, stopped all at once when the leader is ahead; more only while it is not.

Ballots come in as traces end, the short ones first. When the posterior that the leader stays ahead (two leading
counts, flat prior) passes the threshold, every other trace is stopped. A window that ends undecided is followed by
the next one. It is the simplest policy that stops stragglers, and the bar that `auto` has to pass.
"""

from orchestrator.config import PolicySettings
from orchestrator.core.facts import Fact
from orchestrator.core.policies.policy import Step
from orchestrator.core.tally import Tally
from orchestrator.core.vote import leader_posterior

__all__ = ["Race"]


class Race:
    """Launches windows of `settings.window` traces and stops them above `settings.confidence`."""

    uses_checkpoints = False
    watches_tokens = False
    at_rest = True

    def __init__(self, settings: PolicySettings) -> None:
        self._settings = settings
        self._tally = Tally(settings.traces)
        self._settled = False

    def start(self) -> Step:
        """Starts the first window."""
        return Step([], self._tally.launch(self._settings.window))

    def on(self, fact: Fact) -> Step:
        """Stops all when the vote is settled; starts the next window when this one has run out."""
        if not self._tally.ended(fact) or self._settled:
            return Step([], [])
        if self._ahead():
            self._settled = True
            return Step([], self._tally.stop_all("settled"))
        return Step([], [] if self._tally.running else self._tally.launch(self._settings.window))

    def ballots(self, finished: tuple[int, ...]) -> list[int]:
        """Every finished trace has a ballot."""
        return list(finished)

    def _ahead(self) -> bool:
        ballots = self._tally.ballots
        if sum(ballots) < self._settings.min_ballots:
            return False
        return (leader_posterior(ballots) or 0.0) > self._settings.confidence
