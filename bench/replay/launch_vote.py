"""`launch-vote`: a plain vote whose ties go to the trace that was launched first, not to the one that finished first.

A vote over recorded traces that looks at them in the order of the file breaks ties so. Where short traces are right more often, a
vote in the order of finishing, as `cons@N` and every live run take it, is better without costing a token: with two
traces every disagreement is a tie. Published figures of the two kinds must not be mixed.
"""

from collections.abc import Sequence

from bench.data.recorded import RecordedTrace
from bench.replay.player import ReplayResult
from bench.replay.probe_lead import seconds_of
from bench.replay.server import ServerModel
from orchestrator.core.voting import majority

__all__ = ["play_launch_vote"]


def play_launch_vote(traces: Sequence[RecordedTrace], server: ServerModel) -> ReplayResult:
    """One run over `traces`, all started at once and run to their end."""
    lengths = sorted(trace.tokens for trace in traces)
    answers = tuple(trace.answer for trace in traces)
    return ReplayResult(
        answer=majority(answers, min_ballots=1, at=0.0).answer,
        tokens=sum(lengths),
        sequential_tokens=float(lengths[-1]),
        judge_tokens=0,
        seconds=seconds_of(lengths, lengths[-1], server),
        started=len(traces),
        finished=answers,
        finished_tokens=sum(lengths),
        lengths={"finished": tuple(lengths)},
    )
