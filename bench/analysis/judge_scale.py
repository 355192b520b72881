"""What the judge is asked when a question has hundreds of traces, beside the exhaustive rule and beside the least that can do.

The traces of a question are drawn with replacement, since no recording has 512 of them, and clustered by the core itself
with a simulated judge. Three counts of pairs are set side by side:

- *exhaustive*: min(K1, |c|) members of every cluster c for every trace (arXiv 2510.08483);
- *asked*: what the policy asked;
- *least*: the fewest verdicts from which the exhaustive rule's assignment follows whatever the other verdicts are, chosen
  by somebody who knows them all. No order of questions, no bound and no item size can do with fewer.

No pair occurs twice: a trace is compared with members that were placed before it, so reusing a verdict in the other
direction saves nothing.
"""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
import numpy as np
from scipy.optimize import linear_sum_assignment

from bench.data.recorded import RecordedQuestion, RecordedTrace
from bench.replay.judges import SimulatedJudge
from bench.replay.player import ReplayInputs, ReplayResult, play
from bench.replay.prefixes import checkpoint_prefix
from bench.replay.server import ServerModel
from bench.specs.policy_spec import Auroc
from orchestrator.core.cluster import Clustering
from orchestrator.core.events import ClusterOpened, Event, PairsJudged, TraceJoined
from orchestrator.settings import DeepPruneSettings, Settings

__all__ = ["ScaleLine", "least_pairs", "measure_scale", "moved_fraction"]

VARIANTS: dict[str, dict[str, Any]] = {
    "most-similar": {},
    "K1 = 2": {"sample_members": 2},
    "first": {"match": "first"},
    "first, certainty 2": {"match": "first", "certainty": 2.0},
    "first, certainty 1": {"match": "first", "certainty": 1.0},
}
"""Settings of the policy by the name of the line; the first one assigns as the exhaustive rule."""

_ROUNDING = 1e-12


class ScaleLine(msgspec.Struct, frozen=True, kw_only=True):
    """One way to match on one file; counts are sums over its questions.

    `exhaustive` and `least` are those of the exhaustive rule. `moved` is the fraction of traces in another cluster than by
    that rule, clusters being paired so that it is smallest. `tokens` are generated per question. `cpu_ms_per_trace` is
    the core's and the simulated server's.
    """

    file: str
    auroc: Auroc
    match: str
    traces: int
    questions: int
    clusters: float
    exhaustive: int
    least: int
    asked: int
    requests: int
    moved: float
    accuracy: float
    tokens: float
    cpu_ms_per_trace: float


class _Run(msgspec.Struct, frozen=True):
    """One question under one way to match; `homes` has (trace, cluster) in order of assignment."""

    result: ReplayResult
    homes: list[tuple[int, int]]
    asked: int
    requests: int
    cpu_seconds: float


def measure_scale(
    file: str,
    questions: Sequence[RecordedQuestion],
    auroc: Auroc,
    *,
    traces: int,
    seed: int,
    checkpoint_tokens: int,
    advance: Callable[[], None] = lambda: None,
) -> list[ScaleLine]:
    """A line for each of `VARIANTS`; `advance` is called after each question."""
    lines: dict[str, list[tuple[_Run, float, bool]]] = {name: [] for name in VARIANTS}
    exhaustive = least = 0
    for number, question in enumerate(questions):
        rng = np.random.default_rng([seed, number])
        drawn = [question.traces[each] for each in rng.integers(len(question.traces), size=traces)]
        judge = SimulatedJudge(auroc, drawn, rng)
        runs = {
            name: _play(question, drawn, judge, _settings(traces, checkpoint_tokens, seed, changes))
            for name, changes in VARIANTS.items()
        }
        reference = next(iter(runs.values()))
        counted = _count(reference.homes, judge, traces, seed)
        exhaustive, least = exhaustive + counted[0], least + counted[1]
        for name, run in runs.items():
            moved = moved_fraction(dict(reference.homes), dict(run.homes))
            lines[name].append((run, moved, run.result.answer in question.correct))
        advance()
    return [
        ScaleLine(
            file=file,
            auroc=auroc,
            match=name,
            traces=traces,
            questions=len(runs),
            clusters=_mean(len(run.result.clusters) for run, _, _ in runs),
            exhaustive=exhaustive,
            least=least,
            asked=sum(run.asked for run, _, _ in runs),
            requests=sum(run.requests for run, _, _ in runs),
            moved=_mean(moved for _, moved, _ in runs),
            accuracy=_mean(right for _, _, right in runs),
            tokens=_mean(run.result.tokens for run, _, _ in runs),
            cpu_ms_per_trace=1e3 * _mean(run.cpu_seconds for run, _, _ in runs) / traces,
        )
        for name, runs in lines.items()
    ]


def least_pairs(verdicts: Sequence[Sequence[float]], chosen: int | None, tau: float) -> int:
    """The fewest verdicts that prove an assignment by the exhaustive rule.

    Args:
        verdicts: those on the members that stand for each cluster, by cluster.
        chosen: the cluster that the trace joined, None if it was similar to none.
        tau: the similarity above which a trace joins; below 0 where there was no room for a further cluster.
    """
    every = sum(map(len, verdicts))
    if chosen is None:
        return int(min(every, sum(_to_stay_below(each, tau) for each in verdicts)))
    best, low, size = math.inf, 0.0, len(verdicts[chosen])
    for asked, verdict in enumerate(sorted(verdicts[chosen], reverse=True), start=1):
        low += verdict / size
        if low > tau:
            others = (
                _to_stay_below(each, low)
                for cluster, each in enumerate(verdicts)
                if cluster != chosen
            )
            best = min(best, asked + sum(others))
    return int(min(best, every))


def _to_stay_below(verdicts: Sequence[float], limit: float) -> float:
    """The fewest verdicts that show a mean of at most `limit`, infinitely many if it is greater.

    These are the smallest ones, all others being 1.
    """
    high = 1.0
    for asked, verdict in enumerate([*sorted(verdicts), 1.0]):
        if high <= limit + _ROUNDING:
            return asked
        high -= (1.0 - verdict) / len(verdicts)
    return math.inf


def moved_fraction(before: dict[int, int], after: dict[int, int]) -> float:
    """The fraction of the traces in `before` that are elsewhere in `after`, clusters being paired as well as possible."""
    if not before:
        return 0.0
    size = 1 + max([*before.values(), *after.values()])
    together = np.zeros((size, size))
    for trace, cluster in before.items():
        if trace in after:
            together[cluster, after[trace]] += 1
    rows, columns = linear_sum_assignment(together, maximize=True)
    return 1.0 - float(together[rows, columns].sum()) / len(before)


def _settings(traces: int, tokens: int, seed: int, changes: dict[str, Any]) -> Settings:
    return Settings.model_validate(
        {
            "policy": {"name": "deepprune", "traces": traces, **changes},
            "checkpoint": {"unit": "tokens", "tokens": tokens},
            "run": {"seed": seed},
        }
    )


def _play(
    question: RecordedQuestion,
    traces: Sequence[RecordedTrace],
    judge: SimulatedJudge,
    settings: Settings,
) -> _Run:
    events: list[Event] = []
    inputs = ReplayInputs(
        question=question,
        traces=traces,
        checkpoints=[checkpoint_prefix(trace, settings.checkpoint) for trace in traces],
        judge=judge,
    )
    begun = time.process_time()
    result = play(inputs, settings, ServerModel(), sink=events.append)
    seconds = time.process_time() - begun
    judged = [event for event in events if isinstance(event, PairsJudged)]
    return _Run(
        result,
        [(e.trace, e.cluster) for e in events if isinstance(e, ClusterOpened | TraceJoined)],
        sum(len(event.members) for event in judged),
        len(judged),
        seconds,
    )


def _count(
    homes: Iterable[tuple[int, int]], judge: SimulatedJudge, traces: int, seed: int
) -> tuple[int, int]:
    """The pairs of the exhaustive rule, and the least, for these assignments in their order."""
    policy = DeepPruneSettings()
    clustering = Clustering(
        planned=traces,
        tau=policy.tau,
        max_clusters=policy.max_clusters,
        sample_members=policy.sample_members,
        when_full=policy.when_full,
        bounds=policy.bounds,
        lookahead=policy.lookahead,
        seed=seed,
    )
    clusters = clustering.clusters
    exhaustive = least = 0
    for trace, home in homes:
        verdicts = [
            judge.verdicts(trace, clustering.sample(trace, cluster))
            for cluster in range(len(clusters))
        ]
        opened, full = home == len(clusters), len(clusters) == policy.max_clusters
        exhaustive += sum(map(len, verdicts))
        similar = any(sum(each) / len(each) > policy.tau for each in verdicts)
        least += least_pairs(
            verdicts, None if opened else home, -1.0 if full and not similar else policy.tau
        )
        if opened:
            clusters.append([])
        clusters[home].append(trace)
    return exhaustive, least


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))
