"""`short`: short-m@k (arXiv 2505.17813): k traces side by side, the first m to end vote, the rest are stopped."""

from orchestrator.config import PolicySettings
from orchestrator.core.facts import Fact
from orchestrator.core.policies.policy import Step
from orchestrator.core.tally import Tally

__all__ = ["ShortFirst"]


class ShortFirst:
    """Waits for `settings.enough` ballots out of `settings.traces` traces."""

    uses_checkpoints = False
    watches_tokens = False
    at_rest = True

    def __init__(self, settings: PolicySettings) -> None:
        self._enough = settings.enough
        self._tally = Tally(settings.traces)
        self._settled = False

    def start(self) -> Step:
        """Starts all traces."""
        return Step([], self._tally.launch(self._tally.planned))

    def on(self, fact: Fact) -> Step:
        """Stops what still runs once there are ballots enough."""
        if not self._tally.ended(fact) or self._settled:
            return Step([], [])
        self._settled = sum(self._tally.ballots) >= self._enough
        return Step([], self._tally.stop_all("settled") if self._settled else [])

    def ballots(self, finished: tuple[int, ...]) -> list[int]:
        """Every finished trace has a ballot."""
        return list(finished)
