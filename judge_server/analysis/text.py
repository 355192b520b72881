"""An analysis as Markdown: the text on stdout and in `report.md`."""

from collections.abc import Sequence

import numpy as np

from judge_server.analysis.summary import BINS, ModelSummary, quantiles
from judge_server.evaluation.markdown import figures_table, table
from judge_server.evaluation.measure import JudgeResult
from orchestrator.terminal.document import markdown_text

__all__ = ["analysis_text"]

_BAR_CHARACTERS = 40


def analysis_text(
    models: Sequence[ModelSummary],
    results: Sequence[JudgeResult],
    notes: Sequence[str],
    *,
    cut: str,
    pictures: Sequence[str] = (),
) -> str:
    """All tables; `notes` say what could not be measured, `pictures` are files to show at the end."""
    sections = [
        "Pairs of traces of one question with the same answer:",
        _agreement(models),
        "By difficulty, the fraction of a question's traces that are right:",
        _difficulties(models),
        "Questions by the fraction of their pairs with the same answer:",
        *(_histogram(model) for model in models if model.per_question),
        f"Cut after {cut}:",
        _lengths(models),
    ]
    if results:
        judges = ((one.name, one.figures) for one in results)
        sections += ["Judges without training on these traces:", figures_table("judge", judges)]
    sections += ["\n".join(f"- {markdown_text(note)}" for note in notes)]
    sections += [f"![{name}]({name})" for name in pictures]
    return "\n\n".join(section for section in sections if section) + "\n"


def _agreement(models: Sequence[ModelSummary]) -> str:
    heads = ("model", "questions", "traces", "without an answer", "pairs", "same answer (95 % interval)",
             "mean over questions", "questions all alike")  # fmt: skip
    return table(
        heads,
        (
            (
                model.model or "unnamed",
                f"{model.questions:,}",
                f"{model.traces:,}",
                f"{1 - model.answered / model.traces:.1%}",
                f"{model.pairs:,}",
                f"{_percent(model.same)} ({_percent(model.interval.low)} to {_percent(model.interval.high)})",
                _percent(float(np.mean(model.per_question)) if model.per_question else np.nan),
                f"{sum(each == 1.0 for each in model.per_question):,}",
            )
            for model in models
        ),
    )


def _difficulties(models: Sequence[ModelSummary]) -> str:
    return table(
        ("model", "difficulty", "questions", "pairs", "same answer"),
        (
            (
                model.model or "unnamed",
                row.difficulty,
                str(row.questions),
                f"{row.pairs:,}",
                _percent(row.same),
            )
            for model in models
            for row in model.difficulties
        ),
    )


def _histogram(model: ModelSummary) -> str:
    """A bar of text for each bin."""
    counts = model.histogram
    widest = max(counts)
    bars = [
        f"{low / BINS:>4.0%} to {(low + 1) / BINS:>4.0%} {'#' * round(_BAR_CHARACTERS * n / widest)} {n}"
        for low, n in enumerate(counts)
    ]
    return "\n".join([markdown_text(model.model or "unnamed"), "", "```", *bars, "```"])


def _lengths(models: Sequence[ModelSummary]) -> str:
    heads = ("model", "traces", "reach the cut", "end before", "characters to the cut: median (10 % to 90 %)",
             "fraction written there: median (10 % to 90 %)")  # fmt: skip
    rows = []
    for model in models:
        chars, fractions = quantiles(model.cut_chars), quantiles(model.cut_fractions)
        reached = model.traces - model.ended_before
        rows.append(
            (
                model.model or "unnamed",
                f"{model.traces:,}",
                f"{reached:,}",
                f"{model.ended_before / model.traces:.1%}",
                _range(chars, "{:,.0f}"),
                _range(fractions, "{:.0%}"),
            )
        )
    return table(heads, rows)


def _range(found: dict[str, float | None], form: str) -> str:
    if found["median"] is None:
        return "-"
    low, median, high = (form.format(found[name]) for name in ("p10", "median", "p90"))
    return f"{median} ({low} to {high})"


def _percent(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.1%}"
