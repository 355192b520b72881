"""All figures of one judge on given pairs.

The rule: the figures are of the scores that the client would see, calibrated as the judge's spec says; a new
calibration is fitted to the raw scores.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from judge_server.data.pairs import Pair
from judge_server.evaluation.advice import Advice, advise, findings
from judge_server.evaluation.calibration import CalibrationMethod, FittedCalibration, calibrate
from judge_server.evaluation.candidates import Candidate
from judge_server.evaluation.figures import Figures, figures_of
from judge_server.metrics import (
    ReliabilityBin,
    ScoredPairs,
    SwapEffect,
    ThresholdResult,
    reliability,
    swap_effect,
    threshold_result,
)
from orchestrator.terminal.progress import Progress

__all__ = ["EvaluationOptions", "EvaluationPairs", "JudgeResult", "measure"]

Scores = NDArray[np.float64]
ScorePairs = Callable[[Sequence[Pair]], Scores]
"""Raw scores (pairs,) of any pairs."""


@dataclass(frozen=True, kw_only=True)
class EvaluationPairs:
    """What judges are measured on: the pairs, the same traces cut elsewhere, and pairs to fit a calibration to."""

    pairs: Sequence[Pair]
    truncated: Mapping[str, Sequence[Pair]] = field(default_factory=dict)
    validation: Sequence[Pair] = ()


@dataclass(frozen=True, kw_only=True)
class EvaluationOptions:
    """How judges are measured. `symmetric` scores are means of both orders; `both_orders` reports both."""

    tau: float = 0.5
    wrong_merges: float = 0.05
    symmetric: bool = False
    both_orders: bool = False
    calibrate: CalibrationMethod | None = None
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class JudgeResult:
    """One judge's figures; `swapped` are the scores in the other order, None where they were not asked for."""

    name: str
    scored: ScoredPairs
    swapped: Scores | None
    figures: Figures
    at_tau: ThresholdResult
    reliability: list[ReliabilityBin]
    swap_effect: SwapEffect | None
    advice: Advice | None
    findings: list[str]
    pairs_per_second: float
    models: dict[str, Figures]
    truncations: dict[str, Figures]
    calibration: FittedCalibration | None


def measure(
    candidate: Candidate, pairs: EvaluationPairs, options: EvaluationOptions
) -> JudgeResult:
    """The figures of one judge. Raises what its scoring raises."""
    score = _open_scorer(candidate)
    began = time.monotonic()
    orders = _score_orders(score, pairs.pairs, options)
    seconds = time.monotonic() - began
    scored = _final_scores(candidate, pairs.pairs, orders, options)
    figures = figures_of(scored, seed=options.seed)
    at_tau = threshold_result(scored, options.tau)
    swapped = _swap_effect(candidate, pairs.pairs, orders, options.tau)

    def figures_of_cut(truncated: Sequence[Pair]) -> Figures:
        if truncated is pairs.pairs:
            return figures
        raw = _score_orders(score, truncated, options)
        return figures_of(_final_scores(candidate, truncated, raw, options), seed=options.seed)

    return JudgeResult(
        name=candidate.name,
        scored=scored,
        swapped=_calibrated(candidate, orders[1]) if len(orders) == 2 else None,
        figures=figures,
        at_tau=at_tau,
        reliability=reliability(scored),
        swap_effect=swapped,
        advice=advise(scored, options.wrong_merges, seed=options.seed),
        findings=findings(figures, at_tau, swapped, options.wrong_merges),
        pairs_per_second=len(orders) * len(pairs.pairs) / max(seconds, 1e-9),
        models=_figures_by_model(scored, pairs.pairs, figures, options),
        truncations={name: figures_of_cut(cut) for name, cut in pairs.truncated.items()},
        calibration=None
        if candidate.spec is None
        else _new_calibration(score, pairs, orders[0], options),
    )


def _open_scorer(candidate: Candidate) -> ScorePairs:
    """The candidate, ready to score; progress is shown on stderr."""
    scorer = candidate.open()

    def score(pairs: Sequence[Pair]) -> Scores:
        with Progress("pairs", len(pairs), title=candidate.name) as progress:
            return np.array(scorer(pairs, lambda done: progress.update(done * len(pairs))))

    return score


def _score_orders(
    score: ScorePairs, pairs: Sequence[Pair], options: EvaluationOptions
) -> list[Scores]:
    """Raw scores in the order of the pairs and, if wanted, in the other: one or two of (pairs,)."""
    if not (options.symmetric or options.both_orders):
        return [score(pairs)]
    swapped = [pair.swapped() for pair in pairs]
    return np.split(score([*pairs, *swapped]), 2)


def _final_scores(
    candidate: Candidate,
    pairs: Sequence[Pair],
    orders: Sequence[Scores],
    options: EvaluationOptions,
) -> ScoredPairs:
    """The pairs with the scores that are measured."""
    used = orders if options.symmetric else orders[:1]
    return _scored(pairs, np.mean([_calibrated(candidate, scores) for scores in used], axis=0))


def _swap_effect(
    candidate: Candidate, pairs: Sequence[Pair], orders: Sequence[Scores], tau: float
) -> SwapEffect | None:
    if len(orders) < 2:
        return None
    asked, swapped = (_calibrated(candidate, scores) for scores in orders)
    return swap_effect(_scored(pairs, asked), swapped, tau)


def _figures_by_model(
    scored: ScoredPairs, pairs: Sequence[Pair], of_all: Figures, options: EvaluationOptions
) -> dict[str, Figures]:
    """The figures for the traces of each model."""
    models = np.array([pair.model for pair in pairs])
    names = [str(name) for name in np.unique(models)]
    if len(names) == 1:
        return {names[0]: of_all}
    return {name: figures_of(scored.where(models == name), seed=options.seed) for name in names}


def _new_calibration(
    score: ScorePairs, pairs: EvaluationPairs, raw: Scores, options: EvaluationOptions
) -> FittedCalibration | None:
    if options.calibrate is None:
        return None
    validation = _scored(pairs.validation, score(pairs.validation)) if pairs.validation else None
    return calibrate(options.calibrate, _scored(pairs.pairs, raw), validation)


def _calibrated(candidate: Candidate, raw: Scores) -> Scores:
    spec = candidate.spec
    return raw if spec is None else np.array([spec.calibrated(float(p)) for p in raw])


def _scored(pairs: Sequence[Pair], scores: Scores) -> ScoredPairs:
    return ScoredPairs(
        np.array([pair.question_id for pair in pairs]),
        np.array([pair.same for pair in pairs], bool),
        scores,
    )
