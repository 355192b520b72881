"""Judges for a replay: simulated with a given AUROC, or verdicts that were recorded.

The rule: a verdict depends on the pair alone. The same two traces get the same verdict however often, and in whatever
order, a policy asks.
"""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from bench.data.recorded import RecordedTrace
from orchestrator.errors import DatasetError

__all__ = ["Judge", "RecordedJudge", "SimulatedJudge", "read_scores"]

Scores = Mapping[frozenset[int], float]
"""p(identical) of pairs of traces, by their numbers within the question."""


class Judge(Protocol):
    """Verdicts on the traces of one replayed run, by their numbers in that run."""

    def verdicts(self, trace: int, members: Sequence[int]) -> tuple[float, ...] | None:
        """p(identical) of the trace with each member, 0..1; None if there is no verdict on one of them."""


class SimulatedJudge:
    """A judge whose scores rank pairs with equal answers above others with probability `auroc`.

    The binormal model: a score is drawn from N(+d/2, 1) for a pair with equal answers and from N(-d/2, 1) for any other,
    with d = sqrt(2) * inverse normal(auroc). p(identical) is the posterior at even odds, so at 0.5 both errors are
    equally frequent. A trace without an answer equals no other trace.

    `correlation`, 0..1, is the fraction of the score's variance that belongs to the two traces, half to each, and not to the
    pair: a judge that misreads one segment errs on all of its pairs alike. 0 makes all errors independent, which
    flatters policies that ask about the same trace several times. The AUROC over pairs is the same.
    """

    def __init__(
        self,
        auroc: float | Literal["perfect"],
        traces: Sequence[RecordedTrace],
        rng: np.random.Generator,
        correlation: float = 0.0,
    ) -> None:
        distance = math.inf if auroc == "perfect" else math.sqrt(2.0) * float(ndtri(auroc))
        noise = rng.standard_normal((len(traces), len(traces)))
        if correlation:
            own = rng.standard_normal(len(traces))
            shared = math.sqrt(correlation / 2.0) * np.add.outer(own, own)
            noise = math.sqrt(1.0 - correlation) * noise + shared
        once = np.triu(noise, 1)
        scores = once + once.T + np.where(_alike(traces), 0.5 * distance, -0.5 * distance)
        self._log_odds: list[list[float]] = (-distance * scores).tolist()
        """That a pair differs, for every pair."""

    def verdicts(self, trace: int, members: Sequence[int]) -> tuple[float, ...]:
        """The verdicts on the pairs, the same in either order."""
        log_odds, exp = self._log_odds[trace], math.exp
        return tuple([1.0 / (1.0 + exp(log_odds[member])) for member in members])


def _alike(traces: Sequence[RecordedTrace]) -> NDArray[np.bool_]:
    """Whether two traces have the same answer, for every pair; shape (traces, traces)."""
    numbers: dict[str | None, int] = {None: -1}
    answers = np.array([numbers.setdefault(trace.answer, len(numbers)) for trace in traces])
    alike: NDArray[np.bool_] = np.equal.outer(answers, answers) & (answers >= 0)
    return alike


class RecordedJudge:
    """Verdicts from a file; a pair that is not in it has none, which never prunes a trace.

    `sample` has the recorded trace of each number in the run.
    """

    def __init__(self, scores: Scores, sample: Sequence[int]) -> None:
        self._scores = scores
        self._sample = sample

    def verdicts(self, trace: int, members: Sequence[int]) -> tuple[float, ...] | None:
        """The recorded verdicts on the trace and each of the others."""
        new, sample = self._sample[trace], self._sample
        found = [self._scores.get(frozenset((new, sample[member]))) for member in members]
        known = tuple(verdict for verdict in found if verdict is not None)
        return known if len(known) == len(found) else None


def read_scores(path: Path) -> Mapping[str, Scores]:
    """Verdicts by question from JSON lines `{"question_id", "traces": [i, j], "p": 0.9}`.

    Traces are numbered from 0 in the order of the replayed file. The `scores.jsonl` that `deepprune-judge evaluate
    --out` writes for one judge is accepted as well; it has `"judges": {"name": {"score": 0.9}}` instead of `"p"`.

    Raises:
        DatasetError: the file or one of its lines cannot be read, or holds the scores of several judges.
    """
    scores: dict[str, dict[frozenset[int], float]] = {}
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"Cannot read {path} ({error}); check the path.") from error
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
            one, other = row["traces"]
            pair = frozenset((int(one), int(other)))
            scores.setdefault(str(row["question_id"]), {})[pair] = _score(row)
        except (ValueError, KeyError, TypeError) as error:
            raise DatasetError(
                f'{path} line {number} is not {{"question_id", "traces": [i, j], "p"}} of one judge; correct it.'
            ) from error
    return scores


def _score(row: Mapping[str, Any]) -> float:
    if "p" in row:
        return float(row["p"])
    (judge,) = row["judges"].values()
    return float(judge["score"])
