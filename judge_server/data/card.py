"""The page beside a set of pairs (README.md): the numbers of `card.json` as tables."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from judge_server.data.labels import UNDECIDED
from orchestrator.terminal.document import markdown_text

__all__ = ["render_card"]

_INTRODUCTION = """\
# Pairs of unfinished traces

Each record shows two unfinished reasoning traces of one question and says whether their final answers are
identical. No question is in two splits, and both traces of a pair are by the same model.

LLaMA-Factory loads this folder as it is (`dataset_dir`: this folder; `dataset`: a name in
`dataset_info.json`); its `template` must be that of the judge's model.
"""


def render_card(card: Mapping[str, Any]) -> str:
    """The page as Markdown."""
    return "\n".join(
        [
            _INTRODUCTION,
            *_splits(card["splits"]),
            *_models(card["splits"]),
            *_dropped(card),
            *_segments(card["splits"]),
            *_fractions(card["splits"]),
            *_making(card),
            *_files(card),
        ]
    )


def _splits(splits: Mapping[str, Any]) -> list[str]:
    rows = [
        (
            name,
            part["questions"],
            part["pairs"],
            part["same"],
            part["pairs"] - part["same"],
            part["same_share"],
            part["records"],
        )
        for name, part in splits.items()
    ]
    head = ("split", "questions", "pairs", "same", "different", "fraction same", "records")
    note = "A record is a pair as it is shown: with --both-orders and --oversample a pair has several.\n"
    return ["## Splits\n", *_table(head, rows), note]


def _models(splits: Mapping[str, Any]) -> list[str]:
    rows = [
        (model or "(no name)", name, counts["traces"], counts["pairs"], counts["same_share"])
        for name, part in splits.items()
        for model, counts in part["models"].items()
    ]
    return ["## Models\n", *_table(("model", "split", "traces", "pairs", "fraction same"), rows)]


def _dropped(card: Mapping[str, Any]) -> list[str]:
    total = card["total"]
    rows = [
        ("traces read", total["traces"] + card["left_out_traces_of_test_models"]),
        (
            "left out: by a test model, on a question of training or validation",
            card["left_out_traces_of_test_models"],
        ),
        ("left out: without an answer", total["unanswered"]),
        ("left out: ended before the cut, with --short drop", total["short_dropped"]),
        ("ended before the cut, in total", total["ended_before_checkpoint"]),
        ("show an answer before the cut", total["shows_answer"]),
    ]
    pairs = [
        ("left out: a segment already shows an answer", total["trivial_dropped"]),
        ("left out: over the cap of a question and model", total["capped"]),
        (f"left out: {UNDECIDED}", total["undecided"]),
        ("question ids whose text has another id too", card["repeated_questions"]),
    ]
    return [
        "## What was left out\n",
        *_table(("traces", "count"), rows),
        *_table(("pairs and questions", "count"), pairs),
    ]


def _segments(splits: Mapping[str, Any]) -> list[str]:
    rows = [
        (f"{name}, {unit}", *part[f"segment_{unit}"].values())
        for name, part in splits.items()
        for unit in ("chars", "words")
        if part["pairs"]
    ]
    head = ("segments of pairs", "min", "10 %", "median", "90 %", "max")
    return ["## Length of segments, as the judge is shown them\n", *_table(head, rows)]


def _fractions(splits: Mapping[str, Any]) -> list[str]:
    rows = [
        (name, *part["same_share_per_question"].values())
        for name, part in splits.items()
        if part["pairs"]
    ]
    head = ("split", "min", "10 %", "median", "90 %", "max", "only same", "only different")
    return [
        "## Fraction of same-answer pairs within a question\n",
        *_table(head, rows),
        "The last two columns count questions whose pairs are all of one class.\n",
    ]


def _making(card: Mapping[str, Any]) -> list[str]:
    judge = card["judge"]
    cut = (
        f"{judge['segment_tokens']} tokens"
        if judge["segment_tokens"]
        else f"{judge['segment_words']} reasoning words ({markdown_text(', '.join(card['word_list']))})"
    )
    rows = [
        (name, ", ".join(map(str, value)) if isinstance(value, list) else value)
        for name, value in card["settings"].items()
    ]
    return [
        "## How it was made\n",
        f"By `deepprune-judge pairs` {card['deepprune']}, for the judge {markdown_text(judge['name'])}. Traces were cut after "
        f"{cut}; of a longer segment the last {judge['max_segment_chars']:,} characters are shown.\n",
        *_table(("setting", "value"), rows),
    ]


def _files(card: Mapping[str, Any]) -> list[str]:
    rows = [
        (role, file["file"], file["bytes"], file["sha256"])
        for role in ("inputs", "outputs")
        for file in card[role]
    ]
    return ["## Files\n", *_table(("role", "file", "bytes", "SHA-256"), rows)]


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    """A Markdown table with an empty line after it."""
    lines = [head, ["---"] * len(head), *([_cell(value) for value in row] for row in rows)]
    return [*(f"| {' | '.join(line)} |" for line in lines), ""]


def _cell(value: Any) -> str:
    """A value in a table."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = f"{value:,}" if isinstance(value, int) else str(value)
    return markdown_text(text)
