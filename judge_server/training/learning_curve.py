"""How good a judge becomes with more questions: cross-validations at several fractions of the training questions.

All points are measured on the same pairs of the same questions. The line through them is AUROC = a + b log2(questions), by least squares;
its interval is by the bootstrap over the measured questions, with the same draws for every point.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter

from judge_server.data.fold_scores import read_record, read_scores
from judge_server.evaluation.bootstrap import ConfidenceInterval, interval_of
from judge_server.evaluation.figures import Figures, figures_of
from judge_server.evaluation.markdown import table
from judge_server.evaluation.plots import save_figure
from judge_server.evaluation.scoring import say
from judge_server.metrics import ScoredPairs
from judge_server.training.cross_validation import CrossValidation, cross_validate

__all__ = ["CurvePoint", "LearningCurve", "curve_text", "draw_curve", "learning_curve"]

AIM = {"pooled": 0.71, "within a question": 0.60}
"""arXiv 2510.08483's judge on unseen problems, and what a judge should reach where clustering happens."""


class CurvePoint(NamedTuple):
    """The judge of so many training questions (the mean over the folds) and pairs."""

    questions: float
    pairs: float
    figures: Figures


class Slope(NamedTuple):
    """The rise of an AUROC for twice the questions, and the questions that the line promises for the aim.

    `needed` is None where the line does not rise, and infinite where no float holds it.
    """

    value: float
    interval: ConfidenceInterval
    needed: float | None


class LearningCurve(NamedTuple):
    """The points in the order of their questions, and a slope for each name in `AIM`."""

    points: list[CurvePoint]
    slopes: dict[str, Slope]


def learning_curve(asked: CrossValidation, fractions: Sequence[float]) -> LearningCurve:
    """Cross-validates at each fraction, in folders inside the job's own; folds that are done are not made again.

    Raises what `cross_validate` raises.
    """
    out = asked.job.out
    whole = _point(asked, out / "all", None)
    points = []
    for fraction in sorted(fractions):
        if fraction == 1.0:
            points.append(whole)
            continue
        questions = max(2, round(fraction * whole.questions))
        points.append(_point(asked, out / f"questions-{questions}", questions))
    return LearningCurve(points, _slopes(points) if len(points) > 1 else {})


def curve_text(curve: LearningCurve) -> str:
    """The points and what they promise, as Markdown."""
    rows = [
        (
            f"{point.questions:.0f}",
            f"{point.pairs:,.0f}",
            _with_interval(point.figures.auroc, point.figures.intervals.auroc),
            _with_interval(point.figures.auroc_within, point.figures.intervals.auroc_within),
        )
        for point in curve.points
    ]
    text = table(
        ("training questions", "pairs", "AUROC (95 % interval)", "within a question"), rows
    )
    lines = [
        f"- {name}: {one.value:+.3f} ({one.interval.low:+.3f} to {one.interval.high:+.3f}) for twice the questions; {_promise(name, one)}."
        for name, one in curve.slopes.items()
    ]
    return "\n".join([text, "", *lines, ""])


def draw_curve(curve: LearningCurve, stem: Path) -> None:
    """The points with their intervals as PNG and SVG."""
    figure = Figure(figsize=(6.0, 4.0), layout="constrained")
    axes = figure.subplots()
    questions = [point.questions for point in curve.points]
    for name, colour in zip(AIM, ("tab:blue", "tab:orange"), strict=True):
        values, ends = zip(
            *(_figure_of(point.figures, name) for point in curve.points), strict=True
        )
        low, high = zip(*ends, strict=True)
        axes.plot(questions, values, marker="o", color=colour, label=name)
        axes.fill_between(questions, low, high, color=colour, alpha=0.15, linewidth=0.0)
        axes.axhline(AIM[name], color=colour, linewidth=0.8, linestyle=":")
    axes.axhline(0.5, color="grey", linewidth=0.7)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.set_xticks(questions, [f"{count:.0f}" for count in questions])
    axes.set(xlabel="training questions", ylabel="AUROC on questions that it never saw")
    axes.legend(loc="best", fontsize="small", title="dotted: the aim", title_fontsize="small")
    save_figure(figure, stem)


def _point(asked: CrossValidation, folder: Path, questions: int | None) -> CurvePoint:
    one = replace(asked, questions=questions, job=replace(asked.job, out=folder))
    say(cross_validate(one))
    folds = read_record(folder)["fold_figures"]
    lines = read_scores(folder)
    scored = ScoredPairs.of(
        [line.question for line in lines],
        [line.same for line in lines],
        [line.score for line in lines],
    )
    return CurvePoint(
        float(np.mean([fold["questions"] for fold in folds])),
        float(np.mean([fold["training_pairs"] for fold in folds])),
        figures_of(scored, seed=0),
    )


def _slopes(points: Sequence[CurvePoint]) -> dict[str, Slope]:
    found = {}
    logs = np.log2([point.questions for point in points])
    for name, aim in AIM.items():
        draws = np.stack([_draws_of(point.figures, name) for point in points])  # (points, samples)
        values = [_figure_of(point.figures, name)[0] for point in points]
        slope, start = np.polyfit(logs, values, 1)
        known = ~np.isnan(draws).any(axis=0)
        slopes = np.polyfit(logs, draws[:, known], 1)[0] if known.any() else np.array([])
        needed = None
        if slope > 0:
            exponent = (aim - float(start)) / float(slope)
            needed = 2.0**exponent if exponent < 1000 else math.inf
        found[name] = Slope(float(slope), interval_of(slopes), needed)
    return found


def _figure_of(figures: Figures, name: str) -> tuple[float, ConfidenceInterval]:
    if name == "pooled":
        return figures.auroc, figures.intervals.auroc
    return figures.auroc_within, figures.intervals.auroc_within


def _draws_of(figures: Figures, name: str) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    intervals = figures.intervals
    return intervals.auroc_draws if name == "pooled" else intervals.within_draws


def _promise(name: str, slope: Slope) -> str:
    if slope.needed is None:
        return f"the line does not rise, so more questions like these promise no {AIM[name]}"
    told = "" if slope.interval.low > 0 else ", but the interval of the rise includes none"
    many = f"{slope.needed:,.0f}" if slope.needed < 1e6 else "more than a million"
    return f"the line reaches {AIM[name]} at {many} questions{told}"


def _with_interval(value: float, interval: ConfidenceInterval) -> str:
    return f"{value:.3f} ({interval.low:.3f} to {interval.high:.3f})"
