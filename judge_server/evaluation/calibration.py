"""From raw scores to probabilities: a calibration fitted to pairs, for the judge's YAML.

Its effect is measured only on questions that it was not fitted to.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GroupKFold

from judge_server.metrics import ScoredPairs, expected_calibration_error
from orchestrator.core.judging import Calibration, Isotonic, Temperature
from orchestrator.errors import DatasetError

__all__ = [
    "CalibrationMethod",
    "FittedCalibration",
    "calibrate",
    "cross_fitted",
    "fit_calibration",
]

CalibrationMethod = Literal["temperature", "isotonic"]

FOLDS = 5


@dataclass(frozen=True)
class FittedCalibration:
    """A calibration with what it was fitted to, and the ECE on other questions before and after it."""

    calibration: Calibration
    fitted_to: str
    ece_before: float
    ece_after: float


def calibrate(
    method: CalibrationMethod, tested: ScoredPairs, validation: ScoredPairs | None
) -> FittedCalibration:
    """A calibration fitted to the validation questions and measured on the tested ones, all with raw scores.

    Without validation questions it is fitted to all tested pairs, and the ECE after it comes from
    cross-fitting: each fifth of the questions is calibrated by a fit to the others.

    Raises DatasetError if there is one question only.
    """
    if validation is not None:
        calibration = fit_calibration(method, validation)
        fitted_to = f"{len(validation):,} pairs of {_questions(validation)} validation questions"
        after = _applied(calibration, tested.scores)
    else:
        calibration = fit_calibration(method, tested)
        fitted_to = f"all {len(tested):,} pairs of {_questions(tested)} questions; the ECE after it is cross-fitted"
        after = cross_fitted(method, tested)
    return FittedCalibration(
        calibration=calibration,
        fitted_to=fitted_to,
        ece_before=expected_calibration_error(tested),
        ece_after=expected_calibration_error(tested.with_scores(after)),
    )


def fit_calibration(method: CalibrationMethod, pairs: ScoredPairs) -> Calibration:
    """The calibration with the least loss on these pairs."""
    return _temperature(pairs) if method == "temperature" else _isotonic(pairs)


def _temperature(pairs: ScoredPairs) -> Temperature:
    """The temperature with the least log loss (arXiv 1706.04599), between 0.01 and 100."""
    log_odds = logit(np.clip(pairs.scores, 1e-9, 1.0 - 1e-9))

    def loss(log_temperature: float) -> float:
        p = expit(log_odds / np.exp(log_temperature))
        return float(log_loss(pairs.same, p, labels=[False, True]))

    best = minimize_scalar(loss, bounds=(np.log(0.01), np.log(100.0)), method="bounded")
    return Temperature(temperature=float(np.exp(best.x)))


def _isotonic(pairs: ScoredPairs) -> Isotonic:
    """The non-decreasing function with the least squared error, piecewise linear."""
    fitted = IsotonicRegression(y_min=0.0, y_max=1.0).fit(pairs.scores, pairs.same)
    return Isotonic(
        scores=tuple(float(score) for score in fitted.X_thresholds_),
        probabilities=tuple(float(p) for p in fitted.y_thresholds_),
    )


def cross_fitted(method: CalibrationMethod, pairs: ScoredPairs) -> NDArray[np.float64]:
    """Scores (pairs,), each calibrated by a fit to other questions."""
    folds = min(FOLDS, _questions(pairs))
    if folds < 2:
        raise DatasetError("A calibration needs pairs of at least two questions; give more traces.")
    calibrated = np.empty(len(pairs))
    for fitted, left_out in GroupKFold(folds).split(pairs.scores, groups=pairs.questions):
        calibration = fit_calibration(method, pairs.where(fitted))
        calibrated[left_out] = _applied(calibration, pairs.scores[left_out])
    return calibrated


def _applied(calibration: Calibration, scores: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([calibration.apply(float(score)) for score in scores])


def _questions(pairs: ScoredPairs) -> int:
    return len(np.unique(pairs.questions))
