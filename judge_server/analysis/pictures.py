"""Pictures of an analysis, each as PNG and SVG: agreement, lengths to the cut, and ROC curves of untrained judges."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter
from sklearn.metrics import roc_curve

from judge_server.analysis.agreement import DIFFICULTIES
from judge_server.analysis.summary import BINS, ModelSummary
from judge_server.evaluation.measure import JudgeResult
from judge_server.evaluation.plots import save_figure
from orchestrator.terminal.document import plot_text

__all__ = ["write_pictures"]


def write_pictures(
    folder: Path, models: Sequence[ModelSummary], results: Sequence[JudgeResult], cut: str
) -> list[str]:
    """`agreement`, `lengths` and, where there are judges, `roc`; the same figures give the same files.

    Returns the names of the files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    draw: dict[str, Callable[[], Figure]] = {
        "agreement": lambda: _agreement(models),
        "lengths": lambda: _lengths(models, cut),
    }
    if results:
        draw["roc"] = lambda: _roc(results)
    for name, drawn in draw.items():
        save_figure(drawn(), folder / name)
    return list(draw)


def _agreement(models: Sequence[ModelSummary]) -> Figure:
    """Questions by their fraction of same-answer pairs, and that fraction by difficulty; a row for each model."""
    figure = Figure(figsize=(11, 3.4 * len(models)), layout="constrained")
    grid = figure.subplots(len(models), 2, squeeze=False)
    for model, (left, right) in zip(models, grid, strict=True):
        edges = np.linspace(0.0, 1.0, BINS + 1)
        left.stairs(model.histogram, edges, fill=True, color="C0")
        left.axvline(model.same, color="black", linestyle=":", label=f"all pairs: {model.same:.1%}")
        left.set(xlabel="fraction of a question's pairs with the same answer", ylabel="questions")
        left.set_title(plot_text(model.model or "traces"), loc="left", fontsize="medium")
        left.set_xlim(0.0, 1.0)
        left.legend(loc="upper left", fontsize="small")
        _difficulties(right, model)
    return figure


def _difficulties(axes: Axes, model: ModelSummary) -> None:
    rows = sorted(model.difficulties, key=lambda row: DIFFICULTIES.index(row.difficulty))
    names = [f"{row.difficulty} ({row.questions})" for row in rows]
    bars = axes.barh(names, [0.0 if np.isnan(row.same) else row.same for row in rows], color="C1")
    axes.bar_label(
        bars,
        ["no pair" if np.isnan(row.same) else f"{row.same:.0%}" for row in rows],
        padding=3,
        fontsize="small",
    )
    axes.set(xlim=(0.0, 1.12), xlabel="same-answer pairs, by difficulty (questions)")
    axes.invert_yaxis()


def _lengths(models: Sequence[ModelSummary], cut: str) -> Figure:
    """How far traces are written at the cut, in characters and as a fraction of the whole trace."""
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    known = [model for model in models if model.cut_chars]
    longest = max((max(model.cut_chars) for model in known), default=1)
    shortest = min((min(model.cut_chars) for model in known), default=1)
    edges = np.geomspace(max(1, shortest), longest + 1, 31).tolist()
    for number, model in enumerate(known):
        color, name = f"C{number}", plot_text(model.model or "traces")
        weights = np.full(len(model.cut_chars), 1.0 / model.traces)
        left.hist(model.cut_chars, edges, weights=weights, alpha=0.55, color=color, label=name)
        right.hist(
            model.cut_fractions, np.linspace(0, 1, 21).tolist(), weights=weights, alpha=0.55,
            color=color, label=f"{name}: {model.ended_before / model.traces:.0%} ended before",
        )  # fmt: skip
    left.set(xscale="log")
    for ticks in (left.xaxis.set_major_formatter, left.xaxis.set_minor_formatter):
        ticks(StrMethodFormatter("{x:,.0f}"))
    left.set(xlabel=f"characters up to the cut after {cut}")
    right.set(xlabel="fraction of the trace that is written at the cut", xlim=(0.0, 1.0))
    for axes in (left, right):
        axes.set_ylabel("fraction of all traces")
        if known:
            axes.legend(fontsize="small")
    return figure


def _roc(results: Sequence[JudgeResult]) -> Figure:
    """All judges in one plot."""
    figure = Figure(figsize=(6.2, 5.6), layout="constrained")
    axes = figure.subplots()
    for number, result in enumerate(results):
        fpr, tpr, _ = roc_curve(result.scored.same, result.scored.scores)
        figures = result.figures
        axes.plot(
            fpr,
            tpr,
            color=f"C{number}",
            label=f"{plot_text(result.name)}: {figures.auroc:.3f} pooled, {figures.auroc_within:.3f} within",
        )
    axes.plot([0.0, 1.0], [0.0, 1.0], color="grey", linewidth=0.7)
    axes.axhline(0.8, color="grey", linewidth=0.7, linestyle=":")
    axes.set(
        xlabel="FPR (different, merged)", ylabel="TPR (same, merged)", xlim=(0, 1), ylim=(0, 1)
    )
    axes.legend(loc="lower right", fontsize="small", title="AUROC")
    return figure
