"""The folder of a run: its name, its settings and questions, and a folder for each of several questions."""

import contextlib
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from orchestrator.config.load import load_settings
from orchestrator.errors import ConfigError, JournalError
from orchestrator.questions import Question, read_questions, to_jsonl
from orchestrator.settings import Settings, changed_setting

__all__ = [
    "COMPRESSED_JOURNAL_FILE",
    "JOURNAL_FILE",
    "PRIVATE",
    "QUESTIONS_FILE",
    "REPORT_FILE",
    "SETTINGS_FILE",
    "SUMMARY_FILE",
    "has_journal",
    "journal_folders",
    "make_run_dir",
    "new_run_dir",
    "question_dirs",
    "question_name",
    "questions_of",
    "remove_unstarted",
    "run_folders",
    "settings_of",
    "unwritable",
    "write_inputs",
    "write_run_file",
]

PRIVATE = 0o700
"""The mode of a run's folders: journals hold questions and answers."""

JOURNAL_FILE = "journal.jsonl"
COMPRESSED_JOURNAL_FILE = "journal.jsonl.gz"
"""In the place of the other one once the run is over, where `run.compress_journal` is set."""
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


def settings_of(
    run_dir: Path,
    *,
    environ: Mapping[str, str],
    assignments: Sequence[str],
    flags: Mapping[str, Any],
    local: bool,
) -> Settings:
    """The settings of the run in `run_dir`, with the addresses that are given now.

    With `local` the addresses are left open, unless `flags` names one. See `load_settings` for the sources.

    Raises:
        ConfigError: there is no such run, or one of the sources changes another setting.
    """
    file = _in(run_dir, SETTINGS_FILE)
    then = load_settings(file=file, environ={}, assignments=(), flags={})
    now = load_settings(file=file, environ=environ, assignments=assignments, flags=flags)
    if (changed := changed_setting(then, now)) is not None:
        raise ConfigError(
            f"--resume goes on with the run's own settings, and {changed} was another one; leave it out."
        )
    if local and not flags.get("endpoint.urls"):
        endpoint = now.endpoint.model_copy(update={"urls": ()})
        return now.model_copy(update={"endpoint": endpoint})
    return now


def questions_of(run_dir: Path) -> list[Question]:
    """The questions of the run in `run_dir`, in order.

    Raises:
        ConfigError: there is no such run.
        DatasetError: the file was damaged.
    """
    return read_questions(_in(run_dir, QUESTIONS_FILE))


def _in(run_dir: Path, name: str) -> Path:
    path = run_dir / name
    if not path.is_file():
        raise ConfigError(
            f"{run_dir} holds no run that can be resumed ({name} is missing); give the folder of a run, "
            "or ask anew."
        )
    return path


def question_dirs(run_dir: Path, questions: Sequence[Question]) -> list[Path]:
    """The folder of each question: the run's own if there is only one."""
    if len(questions) == 1:
        return [run_dir]
    return [
        run_dir / question_name(number, question)
        for number, question in enumerate(questions, start=1)
    ]


def has_journal(folder: Path) -> bool:
    """Whether the folder holds a journal, plain or compressed."""
    return any((folder / name).is_file() for name in (JOURNAL_FILE, COMPRESSED_JOURNAL_FILE))


def journal_folders(root: Path, pattern: str) -> list[Path]:
    """The folders below `root` that match a pattern such as "*/" and hold a journal, sorted."""
    names = (JOURNAL_FILE, COMPRESSED_JOURNAL_FILE)
    return sorted({path.parent for name in names for path in root.glob(pattern + name)})


def run_folders(run: Path) -> list[Path]:
    """The folders of the questions of a run, in order: the run's own, or one for each question.

    Raises:
        ConfigError: there is no journal.
    """
    folders = [run] if has_journal(run) else []
    folders += journal_folders(run, "[!.]*/")
    if not folders:
        raise ConfigError(f"{run} holds no {JOURNAL_FILE}: give the folder of a run.")
    return folders


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
