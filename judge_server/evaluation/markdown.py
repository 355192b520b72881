"""An evaluation as Markdown: the text on stdout and in `report.md`."""

import math
from collections.abc import Iterable, Mapping, Sequence

from judge_server.evaluation.comparison import TOLD_DIFFERENCE, Difference, JudgeDifference
from judge_server.evaluation.evaluate import Evaluation
from judge_server.evaluation.figures import Figures
from judge_server.evaluation.measure import JudgeResult
from orchestrator.terminal.document import markdown_code, markdown_text
from orchestrator.terminal.numbers import format_rate

__all__ = ["figures_table", "markdown", "table"]

FIGURE_HEADS = (
    "pairs",
    "questions",
    "same",
    "AUROC (95 % interval)",
    "within a question",
    "p, chance",
    "TNR@FNR=0.2",
    "ECE",
)


def markdown(evaluation: Evaluation, plots: Sequence[str] = ()) -> str:
    """All tables and findings; `plots` are the file names of pictures to show at the end."""
    results, tau = evaluation.results, evaluation.request.options.tau
    sections = [
        f"Pairs of {markdown_code(evaluation.request.source_name)}, {_origin(evaluation)}{_unread(evaluation.unread)}.",
        figures_table("judge", ((one.name, one.figures) for one in results)),
        *_differences(evaluation.differences),
        f"At tau {tau:g} (a pair is merged above it):",
        _tau_table(results),
        f"A threshold for at most {evaluation.request.options.wrong_merges:.1%} wrong merges:",
        _advice_table(results),
    ]
    if any(one.swap_effect for one in results):
        sections += ["The same pairs in the other order:", _swapping_table(results)]
    if any(len(one.models) > 1 for one in results):
        sections += ["By the model that wrote the traces:", _model_table(results)]
    if any(one.truncations for one in results):
        sections += ["By where the traces are cut:", _cut_table(results, evaluation.reach_cut)]
    read = {path.name for path in evaluation.request.sources}
    for name, figures in evaluation.forced.items():
        rows = ((f"forced answer, {percent} percent", one) for percent, one in figures.items())
        sections += [
            f"Forced answers of {markdown_code(name)}{', on the same traces' if name in read else ', which are of other traces'}:",
            figures_table("by", rows),
        ]
    sections += [
        "\n".join([*(f"- {markdown_text(one)}" for one in evaluation.warnings), _findings(results)])
    ]
    sections += [f"![{name}]({name})" for name in plots]
    return "\n\n".join(section for section in sections if section) + "\n"


def _origin(evaluation: Evaluation) -> str:
    if evaluation.request.is_pairs:
        return "cut when it was made"
    counts, short = evaluation.counts, evaluation.request.sampling.short
    return (
        f"cut after {evaluation.cut}: of {counts.traces:,} traces {counts.unanswered:,} gave no answer and "
        f"{counts.ended_before_checkpoint:,} ended before the cut (--short {short}); at most "
        f"{evaluation.request.sampling.pairs_per_question:,} pairs a question, seed {evaluation.request.sampling.seed}"
    )


def _unread(pairs: int) -> str:
    return (
        f"; {pairs:,} pairs, longer than a judge's context, are left out for all" if pairs else ""
    )


def figures_table(head: str, rows: Iterable[tuple[str, Figures]]) -> str:
    """The figures of every row under their heads."""
    return table((head, *FIGURE_HEADS), ((name, *_cells(figures)) for name, figures in rows))


def _cells(figures: Figures) -> list[str]:
    interval = figures.intervals
    return [
        f"{figures.pairs:,}",
        str(figures.questions),
        _percent(figures.same_share),
        f"{_number(figures.auroc)} ({_range(*interval.auroc)})",
        f"{_number(figures.auroc_within)} ({_range(*interval.auroc_within)})",
        _number(figures.p_within),
        f"{_number(figures.tnr_at_fnr20)} ({_range(*interval.tnr_at_fnr20)})",
        _number(figures.ece),
    ]


def _differences(found: Sequence[JudgeDifference]) -> list[str]:
    """How each further judge differs from the first; empty where there is one only."""
    if not found:
        return []
    heads = (
        "judge",
        "AUROC (95 % interval)",
        "p",
        "within a question",
        "p",
        f"questions for {TOLD_DIFFERENCE:g}",
        f"for {TOLD_DIFFERENCE:g} within",
    )
    rows = [
        (
            one.judge,
            *(cell for each in (one.auroc, one.auroc_within) for cell in _difference_cells(each)),
            *(str(each.needed or "-") for each in (one.auroc, one.auroc_within)),
        )
        for one in found
    ]
    return [
        f"The difference to {found[0].other} on the same pairs, paired by question:",
        table(heads, rows),
    ]


def _difference_cells(one: Difference) -> tuple[str, str]:
    low, high = (f"{value:+.3f}" for value in one.interval)
    return f"{one.value:+.3f} ({low} to {high})", _number(one.p)


def _tau_table(results: Sequence[JudgeResult]) -> str:
    heads = ("judge", "TPR", "TNR", "precision", "merged", "pairs/s")
    return table(
        heads,
        (
            (
                one.name,
                _number(one.at_tau.tpr),
                _number(one.at_tau.tnr),
                _number(one.at_tau.precision),
                _percent(one.at_tau.merged),
                format_rate(one.pairs_per_second),
            )
            for one in results
        ),
    )


def _advice_table(results: Sequence[JudgeResult]) -> str:
    heads = ("judge", "tau", "wrong merges", "on unseen questions", "FPR", "merged")
    rows = []
    for one in results:
        advice = one.advice
        if advice is None:
            rows.append((one.name, "none does it", "", "", "", ""))
        else:
            rows.append(
                (
                    one.name,
                    _number(advice.tau),
                    f"{_percent(advice.wrong)} ({_range(*advice.interval)})",
                    _percent(advice.wrong_unseen),
                    _number(advice.fpr),
                    _percent(advice.merged),
                )
            )
    return table(heads, rows)


def _swapping_table(results: Sequence[JudgeResult]) -> str:
    heads = (
        "judge",
        "mean difference",
        "verdicts that flip",
        "mean score",
        "AUROC",
        "AUROC swapped",
    )
    return table(
        heads,
        (
            (
                one.name,
                _number(swapped.mean_difference),
                _percent(swapped.flips),
                f"{_number(swapped.mean_score)} and {_number(swapped.mean_score_swapped)}",
                _number(swapped.auroc),
                _number(swapped.auroc_swapped),
            )
            for one in results
            if (swapped := one.swap_effect) is not None
        ),
    )


def _model_table(results: Sequence[JudgeResult]) -> str:
    rows = (
        (one.name, model, *_cells(figures))
        for one in results
        for model, figures in one.models.items()
    )
    return table(("judge", "model", *FIGURE_HEADS), rows)


def _cut_table(results: Sequence[JudgeResult], reach_cut: Mapping[str, float]) -> str:
    """Every cut with all judges below each other; the fraction of traces that reaches it is the same for all."""
    rows = (
        (cut, _percent(reached), one.name, *_cells(one.truncations[cut]))
        for cut, reached in reach_cut.items()
        for one in results
    )
    return table(("cut", "traces that reach it", "judge", *FIGURE_HEADS), rows)


def _findings(results: Sequence[JudgeResult]) -> str:
    lines = [
        f"- {markdown_text(one.name)}: {markdown_text(finding)}"
        for one in results
        for finding in one.findings
    ]
    for one in results:
        if (new := one.calibration) is not None:
            lines.append(
                f"- {markdown_text(one.name)}: calibration by {new.calibration.method}, fitted to {new.fitted_to}, changes the ECE of the raw "
                f"scores from {_number(new.ece_before)} to {_number(new.ece_after)}."
            )
    return "\n".join(lines)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; cells are untrusted text."""
    lines = [heads, ["---"] * len(heads), *([markdown_text(cell) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"


def _percent(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.1%}"


def _range(low: float, high: float) -> str:
    return f"{_number(low)} to {_number(high)}"
