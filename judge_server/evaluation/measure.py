"""Everything that is measured of one judge on given pairs.

The rule: the figures are of the scores that the client would see, calibrated as the judge's spec says; a new
calibration is fitted to the raw ones.

The figures of one set of scored pairs, as one row of a table.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from judge_server.data.pairs import Pair
from judge_server.evaluation.advice import Advice, advise, findings
from judge_server.evaluation.calibration import Calibrated, Method, calibrate
from judge_server.evaluation.candidates import Candidate
from judge_server.evaluation.figures import Figures, figures_of
from judge_server.metrics import (
    AtTau,
    Bin,
    ScoredPairs,
    Swapping,
    at_tau,
    reliability,
    swapping,
)
from orchestrator.terminal.progress import Progress

__all__ = ["EvaluationOptions", "JudgeResult", "TestPairs", "measure"]


Scores = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class TestPairs:
    """What judges are measured on: the pairs, the same traces cut elsewhere, and pairs to fit a calibration to."""

    __test__ = False  # no test of ours, whatever its name begins with

    pairs: Sequence[Pair]
    truncated: Mapping[str, Sequence[Pair]] = field(default_factory=dict)
    validation: Sequence[Pair] = ()


@dataclass(frozen=True, kw_only=True)
class EvaluationOptions:
    """How judges are measured. `symmetric` takes the mean of both orders; `both_orders` also asks in both."""

    tau: float = 0.5
    wrong_merges: float = 0.05
    symmetric: bool = False
    both_orders: bool = False
    calibrate: Method | None = None
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class JudgeResult:
    """One judge's figures; `swapped` are the scores in the other order, None where it was not asked."""

    name: str
    scored: ScoredPairs
    swapped: Scores | None
    figures: Figures
    at_tau: AtTau
    reliability: list[Bin]
    swapping: Swapping | None
    advice: Advice | None
    findings: list[str]
    pairs_per_second: float
    models: dict[str, Figures]
    truncations: dict[str, Figures]
    calibrated: Calibrated | None


def measure(candidate: Candidate, test: TestPairs, options: EvaluationOptions) -> JudgeResult:
    """The figures of one judge. Raises what its scoring raises."""
    ask = _asker(candidate)
    began = time.monotonic()
    orders = _asked(ask, test.pairs, options)
    seconds = time.monotonic() - began
    scored = _final(candidate, test.pairs, orders, options)
    figures = figures_of(scored, seed=options.seed)
    at = at_tau(scored, options.tau)
    swapped = _swapping(candidate, test.pairs, orders, options.tau)
    return JudgeResult(
        name=candidate.name,
        scored=scored,
        swapped=_calibrated(candidate, orders[1]) if len(orders) == 2 else None,
        figures=figures,
        at_tau=at,
        reliability=reliability(scored),
        swapping=swapped,
        advice=advise(scored, options.wrong_merges, seed=options.seed),
        findings=findings(figures, at, swapped, options.wrong_merges),
        pairs_per_second=len(orders) * len(test.pairs) / max(seconds, 1e-9),
        models=_by_model(scored, test.pairs, figures, options),
        truncations={
            cut: figures
            if pairs is test.pairs
            else figures_of(
                _final(candidate, pairs, _asked(ask, pairs, options), options), seed=options.seed
            )
            for cut, pairs in test.truncated.items()
        },
        calibrated=None
        if candidate.spec is None
        else _new_calibration(ask, test, orders[0], options),
    )


def _asker(candidate: Candidate) -> Callable[[Sequence[Pair]], Scores]:
    """Raw scores (pairs,) of any pairs; progress is shown on stderr."""
    score = candidate.open()

    def ask(pairs: Sequence[Pair]) -> Scores:
        with Progress("pairs", len(pairs), title=candidate.name) as progress:
            return np.array(score(pairs, lambda done: progress.update(done * len(pairs))))

    return ask


def _asked(
    ask: Callable[[Sequence[Pair]], Scores], pairs: Sequence[Pair], options: EvaluationOptions
) -> list[Scores]:
    """Raw scores in the order of the pairs and, if wanted, in the other: one or two of (pairs,)."""
    if not (options.symmetric or options.both_orders):
        return [ask(pairs)]
    turned = [pair.swapped() for pair in pairs]
    return np.split(ask([*pairs, *turned]), 2)


def _final(
    candidate: Candidate,
    pairs: Sequence[Pair],
    orders: Sequence[Scores],
    options: EvaluationOptions,
) -> ScoredPairs:
    """The pairs with the scores that are measured."""
    used = orders if options.symmetric else orders[:1]
    return _scored(pairs, np.mean([_calibrated(candidate, scores) for scores in used], axis=0))


def _swapping(
    candidate: Candidate, pairs: Sequence[Pair], orders: Sequence[Scores], tau: float
) -> Swapping | None:
    if len(orders) < 2:
        return None
    asked, turned = (_calibrated(candidate, scores) for scores in orders)
    return swapping(_scored(pairs, asked), turned, tau)


def _by_model(
    scored: ScoredPairs, pairs: Sequence[Pair], of_all: Figures, options: EvaluationOptions
) -> dict[str, Figures]:
    """The figures for the traces of each model."""
    models = np.array([pair.model for pair in pairs])
    names = [str(name) for name in np.unique(models)]
    if len(names) == 1:
        return {names[0]: of_all}
    return {name: figures_of(scored.where(models == name), seed=options.seed) for name in names}


def _new_calibration(
    ask: Callable[[Sequence[Pair]], Scores],
    test: TestPairs,
    raw: Scores,
    options: EvaluationOptions,
) -> Calibrated | None:
    if options.calibrate is None:
        return None
    validation = _scored(test.validation, ask(test.validation)) if test.validation else None
    return calibrate(options.calibrate, _scored(test.pairs, raw), validation)


def _calibrated(candidate: Candidate, raw: Scores) -> Scores:
    spec = candidate.spec
    return raw if spec is None else np.array([spec.calibrated(float(p)) for p in raw])


def _scored(pairs: Sequence[Pair], scores: Scores) -> ScoredPairs:
    return ScoredPairs(
        np.array([pair.question_id for pair in pairs]),
        np.array([pair.same for pair in pairs], bool),
        scores,
    )
