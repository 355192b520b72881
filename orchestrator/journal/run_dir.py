"""The folder of a run: its name, its settings and questions, and a folder for each of several questions."""

import contextlib
import re
import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

import yaml

from orchestrator.errors import JournalError
from orchestrator.questions import Question, to_jsonl
from orchestrator.settings import Settings

__all__ = [
    "JOURNAL_FILE",
    "PRIVATE",
    "QUESTIONS_FILE",
    "REPORT_FILE",
    "SETTINGS_FILE",
    "SUMMARY_FILE",
    "make_run_dir",
    "new_run_dir",
    "question_dirs",
    "question_name",
    "remove_unstarted",
    "unwritable",
    "write_inputs",
    "write_run_file",
]

PRIVATE = 0o700
"""The mode of a run's folders: journals hold questions and answers."""

JOURNAL_FILE = "journal.jsonl"
SETTINGS_FILE = "settings.yaml"
QUESTIONS_FILE = "questions.jsonl"
REPORT_FILE = "report.json"
SUMMARY_FILE = "summary.json"
"""Sums up the reports of a run with several questions."""


def new_run_dir(out: Path, now: datetime, token: str) -> Path:
    """The new, empty folder `<out>/<YYYY-MM-DDTHH-MM-SS>-<token>` of one question, for its owner only.

    Raises:
        JournalError: the folder cannot be made, or is there already.
    """
    run_dir = out / f"{now:%Y-%m-%dT%H-%M-%S}-{token}"
    try:
        run_dir.mkdir(mode=PRIVATE, parents=True)
    except OSError as error:
        raise unwritable(run_dir, error) from error
    return run_dir


def write_run_file(run_dir: Path, name: str, text: str) -> None:
    """Writes a whole small file (settings, report) into the run's folder; on a failure an old one stays as it was.

    Raises:
        JournalError: the file cannot be written.
    """
    unfinished = run_dir / f".{name}.tmp"
    try:
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(run_dir / name)
    except OSError as error:
        raise unwritable(run_dir / name, error) from error


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


def remove_unstarted(run_dir: Path) -> None:
    """Removes the folder of a run that could not start, unless it holds more than its inputs, such as a server's log."""
    with contextlib.suppress(OSError):
        files = list(run_dir.iterdir())
        if {file.name for file in files} <= {SETTINGS_FILE, QUESTIONS_FILE}:
            for file in files:
                file.unlink()
            run_dir.rmdir()


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


def unwritable(path: Path, error: OSError | UnicodeEncodeError) -> JournalError:
    """The error to raise when a file or folder of a run cannot be written."""
    if isinstance(error, FileExistsError):
        return JournalError(f"{path} exists already: give another folder with --out.")
    reason = error.strerror if isinstance(error, OSError) else None
    return JournalError(
        f"{path} cannot be written ({reason or error}): make room, or give another folder with --out."
    )
