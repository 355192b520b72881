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
from judge_server.evaluation.candidates import Contender
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

__all__ = ["Manner", "Measured", "TestPairs", "measure"]


Scores = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class TestPairs:
    """What judges are measured on: the pairs, the same traces cut elsewhere, and pairs to fit a calibration to."""

    __test__ = False  # no test of ours, whatever its name begins with

    pairs: Sequence[Pair]
    truncated: Mapping[str, Sequence[Pair]] = field(default_factory=dict)
    validation: Sequence[Pair] = ()


@dataclass(frozen=True, kw_only=True)
class Manner:
    """How judges are measured. `symmetric` takes the mean of both orders; `both_orders` also asks in both."""

    tau: float = 0.5
    wrong_merges: float = 0.05
    symmetric: bool = False
    both_orders: bool = False
    calibrate: Method | None = None
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Measured:
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


def measure(contender: Contender, test: TestPairs, manner: Manner) -> Measured:
    """The figures of one judge. Raises what its scoring raises."""
    ask = _asker(contender)
    began = time.monotonic()
    orders = _asked(ask, test.pairs, manner)
    seconds = time.monotonic() - began
    scored = _final(contender, test.pairs, orders, manner)
    figures = figures_of(scored, seed=manner.seed)
    at = at_tau(scored, manner.tau)
    swapped = _swapping(contender, test.pairs, orders, manner.tau)
    return Measured(
        name=contender.name,
        scored=scored,
        swapped=_calibrated(contender, orders[1]) if len(orders) == 2 else None,
        figures=figures,
        at_tau=at,
        reliability=reliability(scored),
        swapping=swapped,
        advice=advise(scored, manner.wrong_merges, seed=manner.seed),
        findings=findings(figures, at, swapped, manner.wrong_merges),
        pairs_per_second=len(orders) * len(test.pairs) / max(seconds, 1e-9),
        models=_by_model(scored, test.pairs, figures, manner),
        truncations={
            cut: figures
            if pairs is test.pairs
            else figures_of(
                _final(contender, pairs, _asked(ask, pairs, manner), manner), seed=manner.seed
            )
            for cut, pairs in test.truncated.items()
        },
        calibrated=None
        if contender.spec is None
        else _new_calibration(ask, test, orders[0], manner),
    )


def _asker(contender: Contender) -> Callable[[Sequence[Pair]], Scores]:
    """Raw scores (pairs,) of any pairs; progress is shown on stderr."""
    score = contender.open()

    def ask(pairs: Sequence[Pair]) -> Scores:
        with Progress("pairs", len(pairs), title=contender.name) as progress:
            return np.array(score(pairs, lambda done: progress.update(done * len(pairs))))

    return ask


def _asked(
    ask: Callable[[Sequence[Pair]], Scores], pairs: Sequence[Pair], manner: Manner
) -> list[Scores]:
    """Raw scores in the order of the pairs and, if wanted, in the other: one or two of (pairs,)."""
    if not (manner.symmetric or manner.both_orders):
        return [ask(pairs)]
    turned = [pair.swapped() for pair in pairs]
    return np.split(ask([*pairs, *turned]), 2)


def _final(
    contender: Contender, pairs: Sequence[Pair], orders: Sequence[Scores], manner: Manner
) -> ScoredPairs:
    """The pairs with the scores that are measured."""
    used = orders if manner.symmetric else orders[:1]
    return _scored(pairs, np.mean([_calibrated(contender, scores) for scores in used], axis=0))


def _swapping(
    contender: Contender, pairs: Sequence[Pair], orders: Sequence[Scores], tau: float
) -> Swapping | None:
    if len(orders) < 2:
        return None
    asked, turned = (_calibrated(contender, scores) for scores in orders)
    return swapping(_scored(pairs, asked), turned, tau)


def _by_model(
    scored: ScoredPairs, pairs: Sequence[Pair], of_all: Figures, manner: Manner
) -> dict[str, Figures]:
    """The figures for the traces of each model."""
    models = np.array([pair.model for pair in pairs])
    names = [str(name) for name in np.unique(models)]
    if len(names) == 1:
        return {names[0]: of_all}
    return {name: figures_of(scored.where(models == name), seed=manner.seed) for name in names}


def _new_calibration(
    ask: Callable[[Sequence[Pair]], Scores], test: TestPairs, raw: Scores, manner: Manner
) -> Calibrated | None:
    if manner.calibrate is None:
        return None
    validation = _scored(test.validation, ask(test.validation)) if test.validation else None
    return calibrate(manner.calibrate, _scored(test.pairs, raw), validation)


def _calibrated(contender: Contender, raw: Scores) -> Scores:
    spec = contender.spec
    return raw if spec is None else np.array([spec.calibrated(float(p)) for p in raw])


def _scored(pairs: Sequence[Pair], scores: Scores) -> ScoredPairs:
    return ScoredPairs(
        np.array([pair.question_id for pair in pairs]),
        np.array([pair.same for pair in pairs], bool),
        scores,
    )
