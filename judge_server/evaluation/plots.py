"""Plots of an evaluation, each as PNG and SVG; they show figures of the report and compute none."""

from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import roc_curve

from judge_server.evaluation.measure import JudgeResult
from orchestrator.terminal.sanitize import sanitize

__all__ = ["PLOTS", "save_figure", "write_plots"]

PLOTS = ("roc", "reliability", "scores")
FORMATS = ("png", "svg")


def write_plots(folder: Path, results: Sequence[JudgeResult]) -> None:
    """`roc.png` and so on; the same figures give the same files."""
    draw: dict[str, Callable[[Axes, JudgeResult], None]] = {
        "roc": _roc,
        "reliability": _reliability,
        "scores": _scores,
    }
    for name in PLOTS:
        save_figure(_drawn(results, draw[name]), folder / name)


def _drawn(results: Sequence[JudgeResult], draw: Callable[[Axes, JudgeResult], None]) -> Figure:
    """One small plot for each judge, side by side."""
    figure = Figure(figsize=(4.0 * len(results), 4.0), layout="constrained")
    for axes, result in zip(
        figure.subplots(1, len(results), squeeze=False)[0], results, strict=True
    ):
        axes.set_title(sanitize(result.name), fontsize="small", parse_math=False, wrap=True)
        draw(axes, result)
    return figure


def _roc(axes: Axes, result: JudgeResult) -> None:
    fpr, tpr, _ = roc_curve(result.scored.same, result.scored.scores)
    intervals = result.figures.intervals
    axes.fill_between(intervals.fpr, *intervals.roc, alpha=0.25, linewidth=0.0)
    axes.plot(fpr, tpr, label=f"AUROC {result.figures.auroc:.3f}")
    axes.plot([0.0, 1.0], [0.0, 1.0], color="grey", linewidth=0.7)
    axes.axhline(0.8, color="grey", linewidth=0.7, linestyle=":")
    axes.set(
        xlabel="FPR (different, merged)", ylabel="TPR (same, merged)", xlim=(0, 1), ylim=(0, 1)
    )
    axes.legend(loc="lower right", fontsize="small")


def _reliability(axes: Axes, result: JudgeResult) -> None:
    scores = [filled.mean_score for filled in result.reliability]
    fractions = [filled.same_share for filled in result.reliability]
    sizes = [4.0 + 200.0 * filled.pairs / result.figures.pairs for filled in result.reliability]
    axes.plot([0.0, 1.0], [0.0, 1.0], color="grey", linewidth=0.7)
    axes.plot(scores, fractions, linewidth=0.7, clip_on=False)
    axes.scatter(scores, fractions, s=sizes, clip_on=False, label=f"ECE {result.figures.ece:.3f}")
    axes.set(
        xlabel="mean score of a bin",
        ylabel="fraction with the same answer",
        xlim=(0, 1),
        ylim=(0, 1),
    )
    axes.legend(loc="lower right", fontsize="small", markerscale=0.4)


def _scores(axes: Axes, result: JudgeResult) -> None:
    edges = np.linspace(0.0, 1.0, 31).tolist()
    for same, label in ((True, "same answer"), (False, "different answers")):
        scores = result.scored.scores[result.scored.same == same]
        axes.hist(scores, edges, density=True, alpha=0.5, label=label)
    axes.axvline(result.at_tau.tau, color="grey", linewidth=0.7, linestyle=":")
    axes.set(xlabel="score", ylabel="density of pairs", xlim=(0, 1))
    axes.legend(loc="best", fontsize="small")


def save_figure(figure: Figure, stem: Path) -> None:
    """The figure as PNG and SVG; the same figure gives the same bytes."""
    with mpl.rc_context({"svg.hashsalt": "deepprune"}):
        for suffix in FORMATS:
            metadata = {"Date": None} if suffix == "svg" else None
            figure.savefig(stem.with_suffix(f".{suffix}"), dpi=120, metadata=metadata)
