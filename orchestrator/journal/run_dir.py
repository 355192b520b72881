"""The folder of a run: its name, its settings and questions, and a folder for each of several questions."""

import re
import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

import yaml

from orchestrator.journal.journal import (
    QUESTIONS_FILE,
    SETTINGS_FILE,
    new_run_dir,
    write_run_file,
)
from orchestrator.questions import Question, to_jsonl
from orchestrator.settings import Settings

__all__ = ["SUMMARY_FILE", "make_run_dir", "question_dirs", "question_name", "write_inputs"]

SUMMARY_FILE = "summary.json"
"""Sums up the reports of a run with several questions."""


def make_run_dir(out: Path) -> Path:
    """A new, empty folder in `out`, named by the time.

    Raises:
        JournalError: the folder cannot be made.
    """
    return new_run_dir(out, datetime.now().astimezone(), secrets.token_hex(3))


def write_inputs(run_dir: Path, settings: Settings, questions: Iterable[Question]) -> None:
    """Writes what `--resume` reads again.

    Raises:
        JournalError: a file cannot be written.
    """
    values = settings.model_dump(mode="json")
    text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
    write_run_file(run_dir, SETTINGS_FILE, text)
    write_run_file(run_dir, QUESTIONS_FILE, to_jsonl(questions))


def question_dirs(run_dir: Path, questions: Sequence[Question]) -> list[Path]:
    """The folder of each question: the run's own if there is only one."""
    if len(questions) == 1:
        return [run_dir]
    return [
        run_dir / question_name(number, question)
        for number, question in enumerate(questions, start=1)
    ]


def question_name(number: int, question: Question) -> str:
    """A folder name that sorts by number and shows the (untrusted) id as far as is safe."""
    slug = re.sub(r"[^A-Za-z0-9]+", "-", question.id)[:40].strip("-")
    return f"{number:04d}-{slug}"
