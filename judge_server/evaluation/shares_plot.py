"""What judges and forced answers know about "same", by the share of a trace that is written: one figure."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from judge_server.evaluation.figures import Figures
from judge_server.evaluation.measure import JudgeResult
from judge_server.evaluation.plots import save_figure
from orchestrator.terminal.document import plot_text

__all__ = ["draw_shares"]

SIDES = ("pooled", "within a question")


def draw_shares(
    stem: Path,
    percents: Sequence[int],
    results: Sequence[JudgeResult],
    forced: Mapping[str, Mapping[int, Figures]],
) -> None:
    """The AUROCs with their intervals, a line for each judge and, dashed, for each file of `forced` answers."""
    figure = Figure(figsize=(10.0, 4.4), layout="constrained")
    for axes, side in zip(figure.subplots(1, 2, sharey=True), SIDES, strict=True):
        for number, one in enumerate(results):
            cuts = {percent: one.truncations[f"{percent} percent"] for percent in percents}
            _line(axes, side, plot_text(one.name), cuts, f"C{number}", "-")
        for number, (name, figures) in enumerate(forced.items(), start=len(results)):
            _line(axes, side, plot_text(f"forced answer, {name}"), figures, f"C{number}", "--")
        axes.axhline(0.5, color="grey", linewidth=0.7)
        axes.set_xticks(list(percents), [f"{percent} %" for percent in percents])
        axes.set(title=side, xlabel="written share of each trace")
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel('AUROC of "same answer"')
    figure.axes[1].legend(loc="best", fontsize="small")
    save_figure(figure, stem)


def _line(
    axes: Axes, side: str, label: str, figures: Mapping[int, Figures], colour: str, style: str
) -> None:
    shares = sorted(figures)
    if side == "pooled":
        values = [figures[share].auroc for share in shares]
        ends = [figures[share].intervals.auroc for share in shares]
    else:
        values = [figures[share].auroc_within for share in shares]
        ends = [figures[share].intervals.auroc_within for share in shares]
    axes.plot(shares, values, style, marker="o", markersize=4, color=colour, label=label)
    axes.fill_between(
        shares,
        [end.low for end in ends],
        [end.high for end in ends],
        color=colour,
        alpha=0.12,
        linewidth=0.0,
    )
