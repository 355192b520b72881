"""The model card of a trained judge: README.md with front matter, from the record beside the weights.

Every figure comes from the record (`training.json`).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from orchestrator.terminal.document import markdown_code, markdown_text
from orchestrator.terminal.sanitize import sanitize

__all__ = ["model_card"]

PIPELINES = {
    "generative": "text-generation",
    "classification": "text-classification",
    "embedding-head": "feature-extraction",
}


def model_card(record: Mapping[str, Any]) -> str:
    """The card as Markdown."""
    return "\n".join(
        [
            _front_matter(record),
            f"# {markdown_text(record['judge']['name'])}",
            "",
            _introduction(record),
            "",
            "## Trained on",
            "",
            *_table(record["data"] | {"files": ", ".join(record["data"]["files"])}),
            "",
            "## Validation",
            "",
            *_epochs(record),
            "",
            "## Settings",
            "",
            *_table(record["settings"]),
            "",
            "## Command",
            "",
            f"    {sanitize(record['command'])}",
            "",
        ]
    )


def _front_matter(record: Mapping[str, Any]) -> str:
    values: dict[str, Any] = {
        "library_name": "transformers",
        "pipeline_tag": PIPELINES[record["judge"]["kind"]],
        "tags": ["deepprune", "judge"],
    }
    if not Path(record["init"]).is_dir():
        values["base_model"] = record["init"]
    return f"---\n{yaml.safe_dump(values, sort_keys=False)}---\n"


def _introduction(record: Mapping[str, Any]) -> str:
    judge = record["judge"]
    cut = (
        f"{judge['segment_tokens']} tokens"
        if judge["segment_tokens"]
        else f"{judge['segment_words']} reasoning words"
    )
    frozen = judge["kind"] == "embedding-head"
    trained = "Its head was trained on the frozen" if frozen else "It was trained from"
    is_focal = record["settings"]["gamma"] > 0
    loss = "focal loss (arXiv 2510.08483)" if is_focal else "cross entropy"
    return (
        f"A judge that reads two unfinished reasoning traces of one question, cut after {cut} and to their last "
        f"{judge['max_segment_chars']:,} characters, and predicts whether they will end in the same answer. "
        f"{trained} {markdown_code(record['init'])} with {loss}. Prompt, labels and truncation are "
        "in `judge.yaml`, everything that decided the weights in `training.json`."
    )


def _epochs(record: Mapping[str, Any]) -> list[str]:
    if record["epochs"][-1]["auroc"] is None:
        last = record["epochs"][-1]
        return [
            f"None: no questions were kept for it. The last training loss was {last['loss']:.5f}."
        ]
    lines = [
        "| epoch | training loss | AUROC, pooled | AUROC, within a question |",
        "|---|---|---|---|",
    ]
    for number, epoch in enumerate(record["epochs"], start=1):
        kept = " (kept)" if number == record["best_epoch"] else ""
        figures = [epoch["loss"], epoch["auroc"], epoch["auroc_within"]]
        shown = " | ".join("–" if value is None else f"{value:.4f}" for value in figures)
        lines.append(f"| {number}{kept} | {shown} |")
    return lines


def _table(values: Mapping[str, Any]) -> list[str]:
    rows = [f"| {name.replace('_', ' ')} | {_shown(value)} |" for name, value in values.items()]
    return ["| | |", "|---|---|", *rows]


def _shown(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, (list, tuple)):
        return markdown_text(", ".join(str(item) for item in value)) or "–"
    return "–" if value is None else markdown_text(str(value))
