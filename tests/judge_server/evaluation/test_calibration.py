"""Calibration: what is fitted, what is said of it, and what the client then reads."""

from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.isotonic import IsotonicRegression

from judge_server.evaluation.calibration import CalibrationMethod, calibrate, fit_calibration
from judge_server.metrics import ScoredPairs, auroc
from judge_server.model_folder import write_spec
from orchestrator.config.shipped import judge_spec
from orchestrator.core.judging import Isotonic, JudgeSpec, Temperature
from orchestrator.errors import DatasetError

METHODS = ("temperature", "isotonic")


def overconfident(pairs: int = 4_000, *, seed: int = 0, questions: int = 40) -> ScoredPairs:
    """Pairs whose log-odds are three times what they should be."""
    rng = np.random.default_rng(seed)
    p = rng.uniform(0.05, 0.95, pairs)
    same = rng.random(pairs) < p
    names = np.array([f"q{n % questions}" for n in range(pairs)])
    return ScoredPairs(names, same, expit(3.0 * logit(p)))


def test_the_temperature_is_found_again() -> None:
    calibration = fit_calibration("temperature", overconfident())
    assert isinstance(calibration, Temperature)
    assert calibration.temperature == pytest.approx(3.0, rel=0.1)


def test_certain_scores_do_not_break_the_temperature() -> None:
    pairs = ScoredPairs.of(["a"] * 4, [True, False, True, False], [1.0, 0.0, 1.0, 1.0])
    assert fit_calibration("temperature", pairs).apply(1.0) == 1.0


def test_the_isotonic_line_is_scikit_learns() -> None:
    pairs = overconfident(500)
    calibration = fit_calibration("isotonic", pairs)
    assert isinstance(calibration, Isotonic)
    fitted = IsotonicRegression(out_of_bounds="clip").fit(pairs.scores, pairs.same)
    asked = np.linspace(0.0, 1.0, 201)
    assert [calibration.apply(float(p)) for p in asked] == pytest.approx(fitted.predict(asked))


@pytest.mark.parametrize("method", METHODS)
def test_on_other_questions_the_probabilities_are_better(method: CalibrationMethod) -> None:
    tested, validation = overconfident(seed=1), overconfident(seed=2)
    found = calibrate(method, tested, validation)
    assert found.ece_before > 0.1
    assert found.ece_after < 0.04
    assert found.fitted_to == "4,000 pairs of 40 validation questions"


@pytest.mark.parametrize("method", METHODS)
def test_without_validation_questions_it_is_cross_fitted(method: CalibrationMethod) -> None:
    found = calibrate(method, overconfident(), None)
    assert found.ece_after < 0.04 < found.ece_before
    assert "cross-fitted" in found.fitted_to
    assert found.calibration == fit_calibration(method, overconfident())


def test_cross_fitting_does_not_praise_what_was_learned_by_heart() -> None:
    """Two pairs a question, each with a label of its own: nothing can be known of the others."""
    rng = np.random.default_rng(0)
    pairs = ScoredPairs(
        np.array([f"q{n // 2}" for n in range(60)]), rng.random(60) < 0.5, rng.random(60)
    )
    known = pairs.with_scores([fit_calibration("isotonic", pairs).apply(p) for p in pairs.scores])
    assert auroc(known) > 0.5
    assert calibrate("isotonic", pairs, None).ece_after > 0.1


def test_one_question_cannot_say_whether_a_calibration_helps() -> None:
    with pytest.raises(DatasetError, match="at least two questions"):
        calibrate("temperature", overconfident(questions=1), None)


@pytest.mark.parametrize("method", METHODS)
def test_the_saved_spec_is_the_one_the_client_reads(
    method: CalibrationMethod, tmp_path: Path, spec: JudgeSpec
) -> None:
    calibrated = spec.model_copy(
        update={"calibration": fit_calibration(method, overconfident(300))}
    )
    file = tmp_path / "judge.yaml"
    file.write_text("an earlier one")
    write_spec(calibrated, file)
    assert judge_spec(str(file)) == calibrated
    assert list(tmp_path.iterdir()) == [file]
