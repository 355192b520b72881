"""What `auto` does next where it has evidence on running traces: wait, launch or stop, whichever brings most beyond its price.

*Waiting* for running traces brings the share of the best answer once they are known, those of which least is known first.
*Launching* brings the share with further votes, once all running traces are known as well. A launched trace costs several
times what a trace costs that was started in time: the vote then waits for its whole length, while the running traces can
be asked meanwhile, and questions on which the answers fall apart are not pursued.

Pure functions: the same situation always leads to the same step.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from orchestrator.core.agreement import Count
from orchestrator.core.belief import expected_shares, share_knowing, share_with_votes
from orchestrator.core.evidence import Likelihood

__all__ = ["HORIZON", "NextStep", "Situation", "best_of", "best_step", "worth_of_knowing"]

HORIZON = 8
"""Votes looked ahead: enough for a rival to catch up wherever it is likely to."""

_LATE = 8.0
"""The price of a trace that is launched after others have ended, in prices of one that was started in time."""

_LEAST_WORTH = 1e-12


class Situation(NamedTuple):
    """What the next step depends on.

    `answers` are those followed, most votes first, with their counts in `counted.leading`. `evidence` is on the running
    traces, in the order in which their ends are most worth knowing. `left` traces may be launched. `running_cost` is what
    is left to pay of a running trace, in finished traces; `late` says that launched traces have the price of late ones.
    """

    answers: tuple[str, ...]
    counted: Count
    evidence: tuple[Likelihood, ...]
    left: int
    running_cost: float
    late: bool

    @property
    def telling(self) -> tuple[Likelihood, ...]:
        """The evidence that changes what is believed, as much of it as is counted."""
        return _telling(self.evidence)

    @property
    def shares(self) -> tuple[float, ...]:
        """For each answer the chance that one more trace would give it."""
        return expected_shares(self.counted, self.telling)

    @property
    def lead_share(self) -> float:
        """The share of the leading answer; 0 without a vote."""
        return max(self.shares, default=0.0)

    @property
    def leader(self) -> str | None:
        """The answer ahead, the older one of two that are level; None without a vote."""
        shares = self.shares
        return self.answers[shares.index(max(shares))] if shares else None


class NextStep(NamedTuple):
    """The best step: `traces` further votes are worth `worth`, and cost `price`.

    For "stop" they are those of the step that came nearest to its price; all are 0 where there is none.
    """

    action: Literal["wait", "launch", "stop"]
    traces: int
    worth: float
    price: float


_NOTHING = NextStep("stop", 0, 0.0, 0.0)


def best_step(situation: Situation, price: float) -> NextStep:
    """The step that brings most beyond its price; `price` is what one trace must bring."""
    now = situation.lead_share
    return best_of([*_waits(situation, price, now), *_launches(situation, price, now)])


def best_of(steps: Sequence[NextStep]) -> NextStep:
    """The step that brings most beyond its price, the first of those that are level; "stop" if none does."""
    best = _NOTHING
    for step in steps:
        if step.worth - step.price > best.worth - best.price + _LEAST_WORTH:
            best = step
    if best is not _NOTHING:
        return best
    nearest = max(
        steps, key=lambda step: step.worth / max(step.price, _LEAST_WORTH), default=_NOTHING
    )
    return nearest._replace(action="stop")


def worth_of_knowing(situation: Situation) -> float:
    """By how much the leader's share would rise, were the ends of all running traces known for nothing."""
    known = situation.evidence[:HORIZON]
    unknown = _telling(situation.evidence[HORIZON:])
    return share_knowing(situation.counted, known, unknown) - situation.lead_share


def _waits(situation: Situation, price: float, now: float) -> list[NextStep]:
    steps = []
    for traces in range(1, min(HORIZON, len(situation.evidence)) + 1):
        known, rest = situation.evidence[:traces], situation.evidence[traces:]
        share = share_knowing(situation.counted, known, _telling(rest))
        cost = price * situation.running_cost * traces
        steps.append(NextStep("wait", traces, share - now, cost))
    return steps


def _launches(situation: Situation, price: float, now: float) -> list[NextStep]:
    running = len(situation.evidence)
    steps = []
    for traces in range(1, min(HORIZON - running, situation.left) + 1):
        share = share_with_votes(situation.counted, situation.evidence, traces)
        each = price * (_LATE if situation.late else 1.0)
        cost = price * situation.running_cost * running + each * traces
        steps.append(NextStep("launch", traces, share - now, cost))
    return steps


def _telling(evidence: tuple[Likelihood, ...]) -> tuple[Likelihood, ...]:
    """What tells something, at most as much of it as the horizon has votes: beyond that it is not needed."""
    return tuple(each for each in evidence if not each.tells_nothing)[:HORIZON]
