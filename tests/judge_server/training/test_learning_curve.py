"""A judge of more and more questions, and what the line through its AUROCs promises."""

import math
from pathlib import Path

import numpy as np
import pytest

from judge_server.cli.main import main
from judge_server.evaluation.figures import figures_of
from judge_server.metrics import ScoredPairs
from judge_server.training.learning_curve import CurvePoint, LearningCurve, _slopes, curve_text

pytestmark = pytest.mark.slow


def test_every_point_is_a_cross_validation_and_the_curve_is_drawn(
    capsys: pytest.CaptureFixture[str], traces: Path, folder: Path, tmp_path: Path
) -> None:
    settings = tmp_path / "train.yaml"
    settings.write_text("epochs: 1\nbf16: false\nbatch_tokens: 6000\n")
    words = ["--config", "nano", "--settings", settings, "--traces", traces, "--init", folder]
    out = tmp_path / "curve"
    command = ["learning-curve", *map(str, words), "--folds", "2", "--out", str(out)]
    assert main([*command, "--fractions", "0.5,1"]) == 0
    printed = capsys.readouterr().out
    rows = [line.split("|")[1].strip() for line in printed.splitlines() if line.startswith("|")]
    assert rows[2:] == ["10", "20"]
    assert "for twice the questions" in printed
    assert (out / "report.md").read_text().endswith(printed)
    assert (out / "questions-10" / "scores.jsonl").exists()
    assert (out / "all" / "scores.jsonl").exists()
    assert (out / "curve.png").stat().st_size > 5_000
    assert (out / "curve.svg").exists()


@pytest.mark.parametrize("fractions", ["0", "1.5", "half", "", "nan"])
def test_fractions_that_are_none_are_refused(
    fractions: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = ["--config", "nano", "--traces", "t.jsonl", "--init", "m", "--out", str(tmp_path / "o")]
    assert main(["learning-curve", *words, f"--fractions={fractions}"]) == 2
    assert "write it as 0.25,0.5,1" in capsys.readouterr().err


def point(questions: float, told: float) -> CurvePoint:
    """A judge that orders the fraction `told` of 40 questions rightly, and the others wrongly."""
    names = np.repeat([f"q{number}" for number in range(40)], 2)
    same = np.tile([True, False], 40)
    is_right = np.repeat(np.arange(40) < told * 40, 2)
    return CurvePoint(
        questions, 0.0, figures_of(ScoredPairs(names, same, (same == is_right) * 1.0), seed=0)
    )


def test_a_line_that_rises_promises_the_questions_at_which_it_meets_the_aim() -> None:
    points = [point(16, 0.50), point(32, 0.55), point(64, 0.60)]
    slope = _slopes(points)["pooled"]
    assert slope.value == pytest.approx(0.05)
    assert slope.needed == pytest.approx(64 * 2 ** (0.11 / 0.05))
    assert slope.interval.low > 0.0
    text = curve_text(LearningCurve(points, _slopes(points)))
    assert "reaches 0.71 at 294 questions." in text


def test_a_line_that_falls_promises_nothing() -> None:
    slope = _slopes([point(16, 0.7), point(32, 0.5)])["within a question"]
    assert slope.needed is None
    text = curve_text(LearningCurve([], {"within a question": slope}))
    assert "does not rise" in text


def test_a_line_that_hardly_rises_promises_no_number() -> None:
    slope = _slopes([point(16, 0.5), point(2.0**1000, 0.525)])["pooled"]
    assert slope.needed is not None
    assert math.isinf(slope.needed)
    assert "more than a million" in curve_text(LearningCurve([], {"pooled": slope}))
