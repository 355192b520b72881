"""`esc`: early-stopping self-consistency (arXiv 2401.10480): windows of traces until one is unanimous.

A window's traces run side by side. If all of them give the same answer the run ends, else the next window starts;
every finished trace votes. A trace without an answer agrees with none.
"""

from orchestrator.config import PolicySettings
from orchestrator.core.facts import Fact
from orchestrator.core.policies.policy import Step
from orchestrator.core.tally import Tally

__all__ = ["EarlyStopping"]


class EarlyStopping:
    """Launches window after window of `settings.window` traces."""

    uses_checkpoints = False
    watches_tokens = False
    at_rest = True

    def __init__(self, settings: PolicySettings) -> None:
        self._window = settings.window
        self._tally = Tally(settings.traces)

    def start(self) -> Step:
        """Starts the first window."""
        return Step([], self._tally.launch(self._window))

    def on(self, fact: Fact) -> Step:
        """Starts the next window when this one has ended without agreement."""
        if not self._tally.ended(fact) or self._tally.running or self._unanimous():
            return Step([], [])
        return Step([], self._tally.launch(self._window))

    def ballots(self, finished: tuple[int, ...]) -> list[int]:
        """Every finished trace has a ballot."""
        return list(finished)

    def _unanimous(self) -> bool:
        last = self._tally.answers[-self._window :]
        return None not in last and len(set(last)) == 1
