"""A check as sections of sentences, a table and pictures, which the text and the page show alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from judge_server.check.judging import JudgeCheck
from judge_server.check.recommend import Recommendation
from judge_server.check.request import CheckRequest
from judge_server.check.sweep import PolicyFigures, Sweep

__all__ = ["Section", "sections_of"]


@dataclass(frozen=True, kw_only=True)
class Section:
    """Untrusted text: a renderer escapes all of it. `pictures` are SVG files."""

    title: str
    sentences: Sequence[str] = ()
    heads: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    pictures: Sequence[Path] = ()


def sections_of(
    request: CheckRequest, judged: JudgeCheck, sweep: Sweep, advice: Recommendation
) -> list[Section]:
    """The recommendation first, then what it rests on."""
    return [
        Section(title="Recommendation", sentences=advice.sentences),
        _figures(judged, request.out),
        _bills(request, sweep),
        _clusters(sweep),
    ]


def _figures(judged: JudgeCheck, out: Path) -> Section:
    result, counts = judged.result, judged.counts
    figures, new = result.figures, result.calibration
    calibrated = ("", "")
    if new is not None:
        calibrated = ("ECE, calibrated (cross-fitted)", _number(new.ece_after))
    rows = [
        ("AUROC (95 % interval)", f"{_number(figures.auroc)} ({_range(*figures.intervals.auroc)})"),
        (
            "AUROC within a question",
            f"{_number(figures.auroc_within)} ({_range(*figures.intervals.auroc_within)}), p {_number(figures.p_within)}",
        ),
        (
            "TNR@FNR=0.2",
            f"{_number(figures.tnr_at_fnr20)} ({_range(*figures.intervals.tnr_at_fnr20)})",
        ),
        ("ECE", _number(figures.ece)),
        calibrated,
        ("pairs, questions", f"{figures.pairs:,}, {figures.questions}"),
        ("same answer", f"{figures.same_share:.1%}"),
        ("traces that reach the cut", f"{counts.reach_cut:.1%}"),
    ]
    sentences = [f"Pairs without a visible answer, cut after {judged.cut}.", *result.findings]
    if judged.unread:
        sentences.append(f"{judged.unread:,} pairs are longer than the judge's context.")
    return Section(
        title="The judge on this model",
        sentences=sentences,
        heads=("figure", "value"),
        rows=[row for row in rows if row[0]],
        pictures=[out / "roc.svg", out / "reliability.svg"],
    )


def _bills(request: CheckRequest, sweep: Sweep) -> Section:
    heads = ("policy", "accuracy (95 % interval)", "reasoner tokens", "judge tokens", "saved before the judge", "saved, net",
             "points above the vote of equal cost", "verdict")  # fmt: skip
    return Section(
        title="Tokens against accuracy",
        sentences=[
            f"Means per question of {request.resamples} replays on the recorded traces; a judge token costs "
            f"{request.judge_price:g} reasoner tokens, and deepprune finishes {request.survivors} traces of the largest "
            "cluster. Verdicts are calibrated by a fit to other questions."
        ],
        heads=heads,
        rows=[_bill(row) for row in sweep.rows],
        pictures=sorted(sweep.folder.glob("pareto-*.svg"))
        + sorted(sweep.folder.glob("sweep-*.svg")),
    )


def _bill(row: PolicyFigures) -> Sequence[str]:
    return (
        row.policy,
        f"{row.accuracy:.1%} ({row.accuracy_low:.1%} to {row.accuracy_high:.1%})",
        f"{row.tokens:,.0f}",
        f"{row.judge_tokens:,.0f}",
        _percent(row.saved_before_judge),
        _percent(row.saved),
        "-" if row.difference is None else f"{100 * row.difference:+.1f}",
        row.verdict,
    )


def _clusters(sweep: Sweep) -> Section:
    return Section(
        title="Clusters and failure signatures",
        sentences=sweep.findings or ["No failure signature of the method is seen."],
        heads=("policy", "clusters per question", "traces in the largest"),
        rows=[
            (row.policy, f"{row.clusters:.1f}", _percent(row.largest_cluster))
            for row in sweep.rows
            if row.clusters is not None
        ],
        pictures=sorted(sweep.folder.glob("distributions-*.svg")),
    )


def _number(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.3f}"


def _range(low: float, high: float) -> str:
    return f"{_number(low)} to {_number(high)}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"
