"""`consensus`: N traces run to their end and vote (cons@N). With N = 1 it is `pass1`.

`short`: short-m@k (arXiv 2505.17813): k traces side by side, the first m to end vote, the rest are stopped.

`esc`: early-stopping self-consistency (arXiv 2401.10480): windows of traces until one is unanimous.

A window's traces run side by side. If all of them give the same answer the run ends, else the next window starts;
every finished trace votes. A trace without an answer agrees with none.

`race`: traces side by side, stopped all at once when the leader is ahead; more only while it is not.

Ballots come in as traces end, the short ones first. When the posterior that the leader stays ahead (two leading
counts, flat prior) passes the threshold, every other trace is stopped. A window that ends undecided is followed by
the next one. It is the simplest policy that stops stragglers, and the bar that `auto` has to pass.

`random-k`: `deepprune` with dice in the judge's place, the control that shows what a judge is worth.

All N traces run to their checkpoint; K2 of them, drawn at random, run on to their end and vote, all others are
pruned there. The prefixes cost what they cost `deepprune`; whatever it does better is the judge's merit.
"""

import numpy as np

from orchestrator.core.commands import StartTrace, StopTrace
from orchestrator.core.events import CheckpointReached, Event
from orchestrator.core.policies.base import Step, Tally
from orchestrator.core.voting import leader_posterior
from orchestrator.settings import (
    EarlyStoppingSettings,
    RaceSettings,
    RandomKSettings,
    ShortSettings,
)

__all__ = [
    "Consensus",
    "EarlyStopping",
    "Race",
    "RandomK",
    "ShortFirst",
]


class Consensus:
    """Starts every trace at once and lets all of them finish."""

    uses_checkpoints = False
    watches_tokens = False
    at_rest = True

    def __init__(self, planned: int) -> None:
        self._planned = planned

    def start(self) -> Step:
        """Starts all planned traces."""
        return Step([], [StartTrace(trace=trace) for trace in range(self._planned)])

    def on(self, event: Event) -> Step:
        """Nothing: the engine ends the run when no trace is open."""
        return Step([], [])

    def voters(self, finished: tuple[int, ...]) -> list[int]:
        """Every finished trace votes."""
        return list(finished)


class ShortFirst:
    """Waits for `settings.enough` ballots out of `settings.traces` traces."""

    uses_checkpoints = False
    watches_tokens = False
    at_rest = True

    def __init__(self, settings: ShortSettings) -> None:
        self._enough = settings.enough
        self._tally = Tally(settings.traces)
        self._settled = False

    def start(self) -> Step:
        """Starts all traces."""
        return Step([], self._tally.launch(self._tally.planned))

    def on(self, event: Event) -> Step:
        """Stops what still runs once there are ballots enough."""
        if not self._tally.ended(event) or self._settled:
            return Step([], [])
        self._settled = sum(self._tally.vote_counts) >= self._enough
        return Step([], self._tally.stop_all("settled") if self._settled else [])

    def voters(self, finished: tuple[int, ...]) -> list[int]:
        """Every finished trace votes."""
        return list(finished)


class EarlyStopping:
    """Launches window after window of `settings.window` traces."""

    uses_checkpoints = False
    watches_tokens = False
    at_rest = True

    def __init__(self, settings: EarlyStoppingSettings) -> None:
        self._window = settings.window
        self._tally = Tally(settings.traces)

    def start(self) -> Step:
        """Starts the first window."""
        return Step([], self._tally.launch(self._window))

    def on(self, event: Event) -> Step:
        """Starts the next window when this one has ended without agreement."""
        if not self._tally.ended(event) or self._tally.running or self._unanimous():
            return Step([], [])
        return Step([], self._tally.launch(self._window))

    def voters(self, finished: tuple[int, ...]) -> list[int]:
        """Every finished trace votes."""
        return list(finished)

    def _unanimous(self) -> bool:
        last = self._tally.answers[-self._window :]
        return None not in last and len(set(last)) == 1


class Race:
    """Launches windows of `settings.window` traces and stops them above `settings.confidence`."""

    uses_checkpoints = False
    watches_tokens = False
    at_rest = True

    def __init__(self, settings: RaceSettings) -> None:
        self._settings = settings
        self._tally = Tally(settings.traces)
        self._settled = False

    def start(self) -> Step:
        """Starts the first window."""
        return Step([], self._tally.launch(self._settings.window))

    def on(self, event: Event) -> Step:
        """Stops all when the vote is settled; starts the next window when this one has run out."""
        if not self._tally.ended(event) or self._settled:
            return Step([], [])
        if self._ahead():
            self._settled = True
            return Step([], self._tally.stop_all("settled"))
        return Step([], [] if self._tally.running else self._tally.launch(self._settings.window))

    def voters(self, finished: tuple[int, ...]) -> list[int]:
        """Every finished trace votes."""
        return list(finished)

    def _ahead(self) -> bool:
        ballots = self._tally.vote_counts
        if sum(ballots) < self._settings.min_ballots:
            return False
        return (leader_posterior(ballots) or 0.0) > self._settings.confidence


class RandomK:
    """Draws `settings.survivors` traces beforehand, from the run's seed."""

    uses_checkpoints = True
    watches_tokens = False
    at_rest = True

    def __init__(self, settings: RandomKSettings, *, seed: int) -> None:
        self._planned = settings.traces
        drawn = np.random.default_rng([seed, settings.traces]).permutation(settings.traces)
        self._survivors = set(drawn[: settings.survivors].tolist())

    def start(self) -> Step:
        """Starts all planned traces."""
        return Step([], [StartTrace(trace=trace) for trace in range(self._planned)])

    def on(self, event: Event) -> Step:
        """Prunes a trace that reaches its checkpoint and was not drawn."""
        match event:
            case CheckpointReached(trace=trace, complete=False) if trace not in self._survivors:
                return Step([], [StopTrace(trace=trace, reason="pruned")])
            case _:
                return Step([], [])

    def voters(self, finished: tuple[int, ...]) -> list[int]:
        """The finished traces that were drawn; those that ended before the checkpoint undrawn have none."""
        return [trace for trace in finished if trace in self._survivors]
