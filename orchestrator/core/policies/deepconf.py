"""`deepconf-low`, `deepconf-high`, `deepconf-offline`: traces judged by the model's own confidence (arXiv 2508.15260).

Online (section 3.3): the first traces, the warm-up, run to their end and set the bar, so that the surest tenth of them
(low) or nine tenths (high) stand above it. A later trace is stopped as soon as a group of its tokens falls below the
bar. As many traces as the warm-up had run side by side, until one answer has nearly all the weight or none is left.
What stands above the bar votes, the warm-up's traces too, as in the public code.

Offline (section 3.2): all traces run to their end, and the surest share of those with an answer votes.

The rule: a trace is judged by its own tokens and the warm-up's, never by how many chunks they came in.
"""

from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from orchestrator.core.commands import StopTrace
from orchestrator.core.confidence import Confidences
from orchestrator.core.events import Event, TokensArrived, TraceFinished
from orchestrator.core.policies.base import Step, Tally
from orchestrator.settings import DeepConfOfflineSettings, DeepConfSettings

__all__ = ["KEPT_SHARES", "DeepConf", "DeepConfOffline", "bar_of"]

KEPT_SHARES = {"deepconf-low": 0.1, "deepconf-high": 0.9}
"""The share of the warm-up's traces that stand above the bar (section 3.3)."""


def bar_of(confidences: Iterable[float], kept: float) -> float:
    """The bar above which the surest `kept` share (0..1) of `confidences` stands; below all if there are none.

    It is the percentile 100 x (1 - kept), interpolated between two traces where it falls between them.
    """
    measured = list(confidences)
    return float(np.percentile(measured, 100.0 * (1.0 - kept))) if measured else 0.0


class DeepConf:
    """Online: launches while the answer is open, and stops what falls below the bar."""

    uses_checkpoints = False
    watches_tokens = True
    at_rest = True

    def __init__(self, settings: DeepConfSettings, confidences: Confidences) -> None:
        self._warm_up = settings.warm_up
        self._consensus_share = settings.consensus_share
        self._min_ballots = settings.min_ballots
        self._confidences = confidences
        self._kept = KEPT_SHARES[settings.name]
        self._tally = Tally(settings.traces)
        self._answers: dict[int, str | None] = {}  # of the traces that ended by themselves
        self._stopping: set[int] = set()
        self._bar: float | None = None
        self._settled = False

    def start(self) -> Step:
        """Starts the warm-up."""
        return Step([], self._tally.launch(self._warm_up))

    def on(self, event: Event) -> Step:
        """Stops an unsure trace; when one has ended, settles the vote or starts the next."""
        if isinstance(event, TokensArrived):
            return Step([], [self._stop(event.trace)] if self._is_unsure(event.trace) else [])
        if isinstance(event, TraceFinished):
            self._answers[event.trace] = event.answer
        if not self._tally.ended(event) or self._settled:
            return Step([], [])
        if self._bar is None:
            if self._tally.running:
                return Step([], [])
            self._bar = bar_of(map(self._lowest, self._answers), self._kept)
        self._settled = self._is_agreed()
        return Step(
            [],
            self._tally.stop_all("settled")
            if self._settled
            else self._tally.launch(self._warm_up - self._tally.running),
        )

    def voters(self, finished: tuple[int, ...]) -> list[int]:
        """The finished traces that stand above the bar; all of them if the warm-up did not end."""
        return [
            trace for trace in finished if self._bar is None or self._lowest(trace) >= self._bar
        ]

    def _is_unsure(self, trace: int) -> bool:
        """Whether a trace that runs has fallen below the bar and nothing has been done about it."""
        if self._bar is None or trace in self._stopping:
            return False
        least = self._confidences.trace(trace).least_group
        return least is not None and least < self._bar

    def _stop(self, trace: int) -> StopTrace:
        self._stopping.add(trace)
        return StopTrace(trace=trace, reason="unsure")

    def _is_agreed(self) -> bool:
        """Whether one answer has the agreed share of the weight of all traces that have ended (section 3.3).

        The warm-up counts whole: of its surest tenth alone, two traces that agree would end the run.
        """
        voting = [t for t in self.voters(tuple(self._answers)) if self._answers[t] is not None]
        if len(voting) < max(1, self._min_ballots):
            return False
        weights: defaultdict[str, float] = defaultdict(float)
        for trace, answer in self._answers.items():
            if answer is not None:
                weights[answer] += self._confidences.of(trace)
        return max(weights.values()) >= self._consensus_share * sum(weights.values())

    def _lowest(self, trace: int) -> float:
        return self._confidences.trace(trace).lowest


class DeepConfOffline:
    """Offline: every trace runs; the surest `settings.kept_share` of those with an answer votes."""

    uses_checkpoints = False
    watches_tokens = True
    at_rest = True

    def __init__(self, settings: DeepConfOfflineSettings, confidences: Confidences) -> None:
        self._kept = settings.kept_share
        self._confidences = confidences
        self._tally = Tally(settings.traces)
        self._answered: set[int] = set()

    def start(self) -> Step:
        """Starts all traces."""
        return Step([], self._tally.launch(self._tally.planned))

    def on(self, event: Event) -> Step:
        """Nothing to order: the engine ends the run when no trace is open."""
        if isinstance(event, TraceFinished) and event.answer is not None:
            self._answered.add(event.trace)
        return Step([], [])

    def voters(self, finished: tuple[int, ...]) -> list[int]:
        """The surest share of the traces with an answer."""
        answered = [trace for trace in finished if trace in self._answered]
        bar = bar_of(map(self._confidences.of, answered), self._kept)
        return [trace for trace in answered if self._confidences.of(trace) >= bar]
