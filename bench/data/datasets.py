"""Public benchmarks by name, read from the Hugging Face hub with `datasets`.

A name stands for one dataset, split and set of columns. A question's id contains its number in that split, so results
of different people can be joined.
"""

import random
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from orchestrator.errors import ConfigError, DatasetError, EndpointUnreachable
from orchestrator.extras import install_command
from orchestrator.questions import Question, read_questions

__all__ = ["HUB", "read_named"]

Row = Mapping[str, Any]


class HubDataset(NamedTuple):
    """Where a benchmark is on the hub, its prompt in configs/prompts, and how a row is read."""

    path: str
    split: str
    prompt: str
    question: Callable[[Row], str]
    gold: Callable[[Row], str]
    name: str | None = None


def _text(column: str) -> Callable[[Row], str]:
    return lambda row: str(row[column]).strip()


def _answer_after_hashes(row: Row) -> str:
    """GSM8K's answers end with "#### 42"."""
    return str(row["answer"]).rpartition("####")[2].strip()


def _choices(row: Row) -> list[str]:
    """GPQA's four options, in an order that depends on the question alone."""
    options = [str(row["Correct Answer"]), *(str(row[f"Incorrect Answer {n}"]) for n in (1, 2, 3))]
    random.Random(str(row["Question"])).shuffle(options)  # noqa: S311  an order, no secret
    return [option.strip() for option in options]


def _with_choices(row: Row) -> str:
    lines = [f"({letter}) {option}" for letter, option in zip("ABCD", _choices(row), strict=True)]
    return "\n".join([str(row["Question"]).strip(), "", *lines])


def _letter(row: Row) -> str:
    return "ABCD"[_choices(row).index(str(row["Correct Answer"]).strip())]


HUB: Mapping[str, HubDataset] = {
    "aime24": HubDataset(
        "HuggingFaceH4/aime_2024", "train", "math", _text("problem"), _text("answer")
    ),
    "aime25": HubDataset("math-ai/aime25", "test", "math", _text("problem"), _text("answer")),
    "math-500": HubDataset(
        "HuggingFaceH4/MATH-500", "test", "math", _text("problem"), _text("answer")
    ),
    "gpqa": HubDataset(
        "Idavidrein/gpqa", "train", "choice", _with_choices, _letter, name="gpqa_diamond"
    ),
    "amc": HubDataset(
        "AI-MO/aimo-validation-amc", "train", "math", _text("problem"), _text("answer")
    ),
    "gsm8k": HubDataset(
        "openai/gsm8k", "test", "math", _text("question"), _answer_after_hashes, name="main"
    ),
}
"""By the name that --questions takes."""


def read_named(name_or_path: str) -> list[Question]:
    """The questions of a benchmark in `HUB`, or of a file.

    Raises:
        ConfigError: `datasets` is not installed.
        EndpointUnreachable: the hub cannot be reached, or refuses access to this dataset.
        DatasetError: the file, or the dataset on the hub, cannot be used.
    """
    found = HUB.get(name_or_path.lower())
    if found is None:
        path = Path(name_or_path)
        if not path.exists() and not path.suffix:
            raise DatasetError(
                f"There is no file or benchmark '{name_or_path}'; give a file, or one of {', '.join(HUB)}."
            )
        return read_questions(path)
    return _questions(name_or_path.lower(), found, _rows(found))


def _rows(found: HubDataset) -> Iterable[Row]:
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise ConfigError(
            f"Reading benchmarks by name needs datasets; run: {install_command('bench')}"
        ) from error
    try:
        rows: Iterable[Row] = load_dataset(found.path, found.name, split=found.split)
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).split("\n", 1)[0][:200]
        raise EndpointUnreachable(
            f"Cannot load {found.path} from the hub ({reason}); check the network and, for a gated dataset, HF_TOKEN, "
            "or give --questions FILE."
        ) from error
    return rows


def _questions(name: str, found: HubDataset, rows: Iterable[Row]) -> list[Question]:
    try:
        questions = [
            Question(id=f"{name}-{number}", question=found.question(row), gold=found.gold(row))
            for number, row in enumerate(rows, start=1)
        ]
    except KeyError as error:
        raise DatasetError(
            f"{found.path} has no column {error}, so it has changed; give --questions FILE."
        ) from error
    if not questions:
        raise DatasetError(f"{found.path} has no questions; give --questions FILE.")
    return questions
