"""`auto`: as many traces as the question deserves, and no straggler that cannot change the vote.

A few traces start side by side. Whenever one ends, `auto` asks what further ballots would be worth
(`orchestrator/core/agreement.py`): by how many points they would raise the share of traces that are expected
to agree with the winner. It asks so for one more ballot, for two, up to eight, and subtracts their price. If no
number is worth its price, the vote is settled: every other trace is stopped. If some number is, `auto` sees to it
that so many traces run, and waits for the next one to end.

Two ballots that agree settle an easy question; one on which the answers fall apart gets more while they may still
come together, and is given up when they do not. The price is the user's knob (`--effort`): what one trace must
bring. A trace that already runs costs half of a new one, because part of it is paid for.

Whether short traces are right more often than long ones differs between models (docs/explanation/benchmarks.md), so `auto` does not
build on it: a ballot counts the same whenever it comes. More traces than would settle an easy question start at once:
the vote then does not wait for the slowest of a few, and latency falls by more than tokens rise.

A pure state machine on the votes of finished traces. Where running traces can be asked, or a judge is given,
`auto` decides by `orchestrator/core/policies/auto_by_evidence.py` instead; until it learns something there, both agree.
"""

from itertools import count
from typing import Literal

from orchestrator.core.agreement import Count, gain, leader_share
from orchestrator.core.events import Event, VoteWeighed
from orchestrator.core.policies.base import Step, Tally
from orchestrator.core.policies.next_step import HORIZON, NextStep, best_of
from orchestrator.settings import AutoSettings

__all__ = ["EFFORT_PRICES", "RUNNING_COST", "Auto"]

EFFORT_PRICES: dict[Literal["low", "medium", "high"], float] = {
    "low": 0.01,
    "medium": 0.005,
    "high": 0.001,
}
"""What one more trace must bring, as expected share of the traces that agree with the winner."""

RUNNING_COST = 0.5
"""What is left to pay of a trace that already runs."""

_SPARE = 2
"""Traces started beyond those that would settle the vote if all agreed."""


class Auto:
    """Launches, waits or stops, whichever the next ballots are worth."""

    uses_checkpoints = False
    watches_tokens = False
    at_rest = True

    def __init__(self, settings: AutoSettings) -> None:
        price = settings.trace_price
        self._price = EFFORT_PRICES[settings.effort] if price is None else price
        self._min_ballots = settings.min_ballots
        self._tally = Tally(settings.traces)
        self._settled = False

    def start(self) -> Step:
        """Starts what would settle the vote if all agreed, and a few to spare."""
        agreeing = next(
            n
            for n in count(self._min_ballots)
            if self._next_step(Count.of((n,), 0)).action == "stop"
        )
        return Step([], self._tally.launch(agreeing + _SPARE))

    def on(self, event: Event) -> Step:
        """Settles the vote, or sees to it that enough traces run."""
        if not self._tally.ended(event) or self._settled:
            return Step([], [])
        ballots = self._tally.vote_counts
        missing = self._min_ballots - sum(ballots) if ballots else 0
        counted = Count.of(ballots, self._tally.blanks)
        step = self._next_step(counted)
        self._settled = step.action == "stop" and missing <= 0
        if self._settled:
            return Step([self._account(event.at, counted, step)], self._tally.stop_all("settled"))
        wanted = missing if step.action == "stop" else max(step.traces, missing)
        commands = self._tally.launch(wanted - self._tally.running)
        step = step._replace(action="launch" if commands else "wait")
        return Step([self._account(event.at, counted, step)], commands)

    def voters(self, finished: tuple[int, ...]) -> list[int]:
        """Every finished trace votes."""
        return list(finished)

    def _next_step(self, so_far: Count) -> NextStep:
        """Waiting for the number of further ballots that brings most beyond its price, or stopping."""
        running = self._tally.running
        possible = min(HORIZON, running + self._tally.left)
        steps = []
        for ballots in range(1, possible + 1):
            cost = RUNNING_COST * min(ballots, running) + max(0, ballots - running)
            worth = gain(so_far, ballots)
            steps.append(NextStep("wait", ballots, worth, self._price * cost))
        return best_of(steps)

    def _account(self, at: float, counted: Count, step: NextStep) -> VoteWeighed:
        """What was decided, and on what, for those who watch."""
        return VoteWeighed(
            at=at,
            leader=max(self._tally.votes, key=self._tally.votes.__getitem__, default=None),
            lead_share=round(leader_share(counted), 6),
            worth=round(step.worth, 6),
            price=round(step.price, 6),
            traces=step.traces,
            action=step.action,
        )
