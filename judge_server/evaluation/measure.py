"""All figures of one judge on given pairs.

The figures are of the scores that the client would see, calibrated as the judge's spec says; a new
calibration is fitted to the raw scores.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from judge_server.data.pairs import Pair
from judge_server.evaluation.advice import Advice, advise, findings
from judge_server.evaluation.calibration import CalibrationMethod, FittedCalibration, calibrate
from judge_server.evaluation.candidates import Candidate
from judge_server.evaluation.chance import chance_p_value
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

__all__ = [
    "CommonPairs",
    "EvaluationOptions",
    "EvaluationPairs",
    "JudgeResult",
    "RawScores",
    "common_pairs",
    "measure",
    "score_pairs",
]

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
class RawScores:
    """One judge's raw scores of all pairs, nan where it could not read one.

    `orders` and each of `truncated` hold (pairs,) as asked, and a second (pairs,) in the other order where it was
    wanted; `validation` is None where no calibration is fitted to such pairs.
    """

    orders: list[Scores]
    truncated: Mapping[str, list[Scores]]
    validation: Scores | None
    pairs_per_second: float


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


def score_pairs(
    candidate: Candidate, pairs: EvaluationPairs, options: EvaluationOptions
) -> RawScores:
    """The raw scores of one judge, which is loaded here. Raises what its scoring raises."""
    score = _open_scorer(candidate)
    began = time.monotonic()
    orders = _score_orders(score, pairs.pairs, options)
    seconds = time.monotonic() - began
    fits_validation = options.calibrate is not None and candidate.spec is not None
    return RawScores(
        orders=orders,
        truncated={
            name: orders if cut is pairs.pairs else _score_orders(score, cut, options)
            for name, cut in pairs.truncated.items()
        },
        validation=score(pairs.validation) if fits_validation and pairs.validation else None,
        pairs_per_second=len(orders) * len(pairs.pairs) / max(seconds, 1e-9),
    )


class CommonPairs(NamedTuple):
    """The pairs that every judge could read, their scores by each judge, and how many others there were."""

    pairs: EvaluationPairs
    scores: list[RawScores]
    left_out: int


def common_pairs(pairs: EvaluationPairs, scores: Sequence[RawScores]) -> CommonPairs:
    """Leaves out the pairs that one of the judges could not read, so that all are compared on the same."""
    read = _read_by_all([one.orders for one in scores])
    cuts = {name: _read_by_all([one.truncated[name] for one in scores]) for name in pairs.truncated}
    validation = _read_by_all([[one.validation] for one in scores if one.validation is not None])
    main = _chosen(pairs.pairs, read)
    kept = EvaluationPairs(
        pairs=main,
        truncated={
            name: main if cut is pairs.pairs else _chosen(cut, cuts[name])
            for name, cut in pairs.truncated.items()
        },
        validation=_chosen(pairs.validation, validation) if validation.size else pairs.validation,
    )
    return CommonPairs(
        kept,
        [
            replace(
                one,
                orders=[order[read] for order in one.orders],
                truncated={
                    name: [order[cuts[name]] for order in orders]
                    for name, orders in one.truncated.items()
                },
                validation=None if one.validation is None else one.validation[validation],
            )
            for one in scores
        ],
        int((~read).sum()),
    )


def measure(
    candidate: Candidate, pairs: EvaluationPairs, raw: RawScores, options: EvaluationOptions
) -> JudgeResult:
    """The figures of one judge from its raw scores of these pairs."""
    orders = raw.orders
    scored = _final_scores(candidate, pairs.pairs, orders, options)
    p_within = chance_p_value(pairs.pairs, scored, seed=options.seed)
    figures = figures_of(scored, seed=options.seed, p_within=p_within)
    at_tau = threshold_result(scored, options.tau)
    swapped = _swap_effect(candidate, pairs.pairs, orders, options.tau)

    def figures_of_cut(name: str) -> Figures:
        if pairs.truncated[name] is pairs.pairs:
            return figures
        cut = _final_scores(candidate, pairs.truncated[name], raw.truncated[name], options)
        return figures_of(cut, seed=options.seed)

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
        pairs_per_second=raw.pairs_per_second,
        models=_figures_by_model(scored, pairs.pairs, figures, options),
        truncations={name: figures_of_cut(name) for name in pairs.truncated},
        calibration=_new_calibration(candidate, pairs, raw, options),
    )


def _read_by_all(judges: Sequence[Sequence[Scores]]) -> NDArray[np.bool_]:
    """Which pairs have a score in every order by every judge, (pairs,)."""
    orders = [order for one in judges for order in one]
    read: NDArray[np.bool_] = ~np.isnan(np.sum(orders, axis=0)) if orders else np.array([], bool)
    return read


def _chosen(pairs: Sequence[Pair], mask: NDArray[np.bool_]) -> Sequence[Pair]:
    return [pair for pair, is_chosen in zip(pairs, mask, strict=True) if is_chosen]


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
    found = {}
    for name in names:
        own = [pair for pair in pairs if pair.model == name]
        part = scored.where(models == name)
        p_within = chance_p_value(own, part, seed=options.seed)
        found[name] = figures_of(part, seed=options.seed, p_within=p_within)
    return found


def _new_calibration(
    candidate: Candidate, pairs: EvaluationPairs, raw: RawScores, options: EvaluationOptions
) -> FittedCalibration | None:
    if options.calibrate is None or candidate.spec is None:
        return None
    validation = None if raw.validation is None else _scored(pairs.validation, raw.validation)
    return calibrate(options.calibrate, _scored(pairs.pairs, raw.orders[0]), validation)


def _calibrated(candidate: Candidate, raw: Scores) -> Scores:
    spec = candidate.spec
    return raw if spec is None else np.array([spec.calibrated(float(p)) for p in raw])


def _scored(pairs: Sequence[Pair], scores: Scores) -> ScoredPairs:
    return ScoredPairs(
        np.array([pair.question_id for pair in pairs]),
        np.array([pair.same for pair in pairs], bool),
        scores,
    )
