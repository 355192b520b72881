"""The files of an evaluation: `report.md`, `report.json`, `scores.jsonl` and the plots.

The rule: they are written to a temporary folder and moved to the wanted one when all are complete.
"""

import hashlib
import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from judge_server.data.traces import source_files
from judge_server.evaluation.comparison import difference_line
from judge_server.evaluation.evaluate import Evaluation
from judge_server.evaluation.figures import Figures, rounded
from judge_server.evaluation.markdown import markdown
from judge_server.evaluation.measure import JudgeResult
from judge_server.evaluation.plots import PLOTS, write_plots
from judge_server.evaluation.shares_plot import draw_shares

__all__ = ["write_report"]


def write_report(evaluation: Evaluation, out: Path) -> None:
    """All files; those of an earlier evaluation in the same folder are replaced."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out, prefix=".report-") as name:
        folder = Path(name)
        write_plots(folder, evaluation.results)
        pictures = [f"{plot}.svg" for plot in PLOTS]
        if evaluation.request.percents:
            draw_shares(
                folder / "shares",
                evaluation.request.percents,
                evaluation.results,
                evaluation.forced,
            )
            pictures.append("shares.svg")
        (folder / "report.md").write_text(
            f"# Judges\n\n{markdown(evaluation, pictures)}", encoding="utf-8"
        )
        report = json.dumps(_report(evaluation), indent=2, allow_nan=False)
        (folder / "report.json").write_text(f"{report}\n", encoding="utf-8")
        with (folder / "scores.jsonl").open("w", encoding="utf-8") as lines:
            lines.writelines(_score_lines(evaluation))
        for file in sorted(folder.iterdir()):
            file.replace(out / file.name)


def _report(evaluation: Evaluation) -> dict[str, Any]:
    request = evaluation.request
    against = {one.judge: difference_line(one) for one in evaluation.differences}
    return {
        "schema": 1,
        "source": request.source_name,
        "sha256": _sha256(request.sources),
        "cut": str(evaluation.cut),
        "split": request.split,
        "seed": request.sampling.seed,
        "symmetric": request.options.symmetric,
        "counts": evaluation.counts.as_dict() | {"unread": evaluation.unread},
        "judges": [
            {**_judge(one), "against_first": against.get(one.name)} for one in evaluation.results
        ],
        "reach_cut": {cut: rounded(reached) for cut, reached in evaluation.reach_cut.items()},
        "forced_answers": {
            name: {f"{percent} percent": _figures(one) for percent, one in figures.items()}
            for name, figures in evaluation.forced.items()
        },
        "warnings": evaluation.warnings,
    }


def _sha256(sources: Sequence[Path]) -> str:
    """The SHA-256 of the files, and of all journals of a folder of runs, one after the other."""
    digest = hashlib.sha256()
    for file in (file for source in sources for file in source_files(source)):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _judge(one: JudgeResult) -> dict[str, Any]:
    advice, new = one.advice, one.calibration
    return {
        "judge": one.name,
        **_figures(one.figures),
        "pairs_per_second": rounded(one.pairs_per_second),
        "at_tau": _numbers(one.at_tau),
        "advice": None if advice is None else _numbers(advice),
        "swapping": None if one.swap_effect is None else _numbers(one.swap_effect),
        "reliability": [_numbers(filled) for filled in one.reliability],
        "models": {model: _figures(figures) for model, figures in one.models.items()},
        "truncations": {cut: _figures(figures) for cut, figures in one.truncations.items()},
        "calibration": None
        if new is None
        else {
            **new.calibration.model_dump(mode="json"),
            "fitted_to": new.fitted_to,
            "ece_before": rounded(new.ece_before),
            "ece_after": rounded(new.ece_after),
        },
        "findings": one.findings,
    }


def _figures(figures: Figures) -> dict[str, Any]:
    return figures.line() | figures.other_intervals()


def _numbers(named: Any) -> dict[str, Any]:
    """A named tuple of numbers, also nested, as JSON."""
    return {
        name: rounded(value) if isinstance(value, float | int) else _numbers(value)
        for name, value in named._asdict().items()
    }


def _score_lines(evaluation: Evaluation) -> Iterator[str]:
    """One line a pair: its question, model, traces and label, and each judge's score, as asked and swapped."""
    for number, pair in enumerate(evaluation.pairs):
        scores = {
            one.name: {
                "score": round(float(one.scored.scores[number]), 6),
                "swapped": None if one.swapped is None else round(float(one.swapped[number]), 6),
            }
            for one in evaluation.results
        }
        line = {
            "question_id": pair.question_id,
            "model": pair.model,
            "traces": pair.traces,
            "same": pair.same,
            "judges": scores,
        }
        yield json.dumps(line, ensure_ascii=False) + "\n"
