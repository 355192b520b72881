"""`parallel-probe`: all traces are probed for their answer every few hundred tokens, and stop on a stable majority.

Reimplements the public code of Parallel-Probe (zhengkid/Parallel-Probe, `ParallelWithWarmupBurstAndPrune`) with its
defaults. Every probe takes the majority over the newest answers of all traces that are not pruned. After the warm-up,
while that majority has at least one half, a running trace that has disagreed with it at three probes in a row is pruned,
as long as three traces are left; and the run ends when the majority has been the same for 18 probes in a row. As in the
paper's own count, the probes' tokens (about twenty each) are free. A probe without an answer counts like any other answer.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from bench.data.recorded import NO_ANSWER, RecordedQuestion, RecordedTrace
from bench.replay.player import ReplayResult
from bench.replay.server import ServerModel

__all__ = ["play_parallel_probe"]

_STABLE_PROBES = 18
_WARM_UP_PROBES = 10
_DISAGREEING_PROBES = 3
_MAJORITY_FRACTION = 0.5
_MIN_TRACES = 3


@dataclass(slots=True)
class _Branch:
    """One trace; `answer` is its newest, `disagreed` the number of probes in a row against the majority."""

    recorded: RecordedTrace
    answer: str = NO_ANSWER
    tokens: int = 0
    disagreed: int = 0
    pruned: bool = False

    @property
    def finished(self) -> bool:
        return self.tokens == self.recorded.tokens

    @property
    def running(self) -> bool:
        return not (self.pruned or self.finished)

    def advance(self, probe: int, every: int) -> None:
        """Generates up to probe number `probe` (from 1) and answers it; at the trace's end with its own answer."""
        self.tokens = min(probe * every, self.recorded.tokens)
        if self.finished or probe > len(self.recorded.probes):
            self.answer = self.recorded.answer or NO_ANSWER
        else:
            self.answer = self.recorded.probes[probe - 1]


def play_parallel_probe(
    question: RecordedQuestion, traces: Sequence[RecordedTrace], server: ServerModel
) -> ReplayResult:
    """One run over `traces`, all started at once.

    Raises:
        DatasetError: the question was recorded without probes.
    """
    every = question.probe_interval("parallel-probe")
    branches = [_Branch(trace) for trace in traces]
    majority, stable, probe, seconds = "", 0, 0, 0.0
    while any(branch.running for branch in branches):
        probe += 1
        running = [branch for branch in branches if branch.running]
        seconds += every * server.step(len(running))
        for branch in running:
            branch.advance(probe, every)
        leader, fraction = _majority(branches)
        stable = stable + 1 if leader == majority else 1
        majority = leader
        if probe > _WARM_UP_PROBES and fraction >= _MAJORITY_FRACTION:
            _prune(branches, majority)
        if probe > _WARM_UP_PROBES and stable >= _STABLE_PROBES:
            break
    finished = [branch.recorded for branch in branches if branch.finished]
    return ReplayResult(
        answer=majority,
        tokens=sum(branch.tokens for branch in branches),
        sequential_tokens=float(max(branch.tokens for branch in branches)),
        judge_tokens=0,
        seconds=seconds,
        started=len(branches),
        finished=tuple(trace.answer for trace in finished),
        finished_tokens=sum(trace.tokens for trace in finished),
        lengths=_lengths(branches),
    )


def _lengths(branches: Sequence[_Branch]) -> dict[str, tuple[int, ...]]:
    """Tokens of every trace by its fate; traces that still ran at the end were stopped."""
    lengths: dict[str, tuple[int, ...]] = {}
    for branch in branches:
        fate = "pruned" if branch.pruned else "finished" if branch.finished else "stopped"
        lengths[fate] = (*lengths.get(fate, ()), branch.tokens)
    return lengths


def _majority(branches: Sequence[_Branch]) -> tuple[str, float]:
    """The most frequent newest answer of the traces that are not pruned, and the fraction of them that gave it."""
    answers = Counter(branch.answer for branch in branches if not branch.pruned)
    answer, votes = answers.most_common(1)[0]
    return answer, votes / answers.total()


def _prune(branches: Sequence[_Branch], majority: str) -> None:
    """Prunes the running traces that keep disagreeing, as long as enough traces are left."""
    left = sum(not branch.pruned for branch in branches)
    if left <= _MIN_TRACES:
        return
    for branch in branches:
        if branch.running:
            branch.disagreed = branch.disagreed + 1 if branch.answer != majority else 0
    for branch in branches:
        if left > _MIN_TRACES and branch.running and branch.disagreed >= _DISAGREEING_PROBES:
            branch.pruned = True
            left -= 1
