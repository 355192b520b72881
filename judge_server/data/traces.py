"""Finished traces from files and recorded runs, one row each: JSON lines (also .gz), Parquet, run folders.

An unusable source is refused by name and line. Rows are read one at a time, so a file may be larger than memory.

One question text under two ids is one question, so that it cannot be in two splits; two texts under one id are
refused.
"""

import codecs
import gzip
import hashlib
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from orchestrator.core.answer import extract_answer
from orchestrator.core.commands import Command
from orchestrator.core.events import Event
from orchestrator.errors import ConfigError, DatasetError, JournalError
from orchestrator.journal.archive import journal_at
from orchestrator.journal.journal import read_journal
from orchestrator.journal.run_dir import (
    COMPRESSED_JOURNAL_FILE,
    JOURNAL_FILE,
    journal_folders,
)
from orchestrator.report.view import RunView

__all__ = [
    "QuestionIndex",
    "TraceRow",
    "fingerprint",
    "group_by_question",
    "read_all_traces",
    "read_traces",
    "source_files",
    "traces_of_events",
]


_PARQUET_ROWS = 256
"""Rows that are converted to Python objects at a time."""


class TraceRow(msgspec.Struct, frozen=True):
    """One trace of one question; `answer` is None where the trace was cut before it gave one.

    Traces of one question with the same `answer_class` gave equal answers, according to the author of the file.
    """

    question_id: str
    question: str
    text: str
    answer: str | None = None
    gold: str | None = None
    model: str = ""
    answer_class: str | int | None = None


class _Line(msgspec.Struct):
    """A row of a file: ids and answers may be numbers, and the answer may be missing."""

    question_id: str | int
    question: str
    text: str
    answer: str | int | float | msgspec.UnsetType | None = msgspec.UNSET
    gold: str | int | float | None = None
    model: str | None = ""
    answer_class: str | int | None = None
    finish_reason: str | None = None


def read_traces(path: Path, *, answer_regex: str | None = None) -> Iterator[TraceRow]:
    """The rows of a file, or of all runs recorded in a folder, in their order; unknown fields are ignored.

    The answer of a row without a field `answer` is extracted from its text, first by `answer_regex` if given.

    Raises:
        ConfigError: a Parquet file, and pyarrow is not installed.
        DatasetError: the file cannot be read, or a row is not a trace.
    """
    if path.is_dir() or path.name in (JOURNAL_FILE, COMPRESSED_JOURNAL_FILE):
        for journal in source_files(path):
            yield from _recorded(journal)
    elif path.suffix == ".parquet":
        yield from (_row(line, answer_regex) for line in _parquet_lines(path))
    else:
        yield from (_row(line, answer_regex) for line in _json_lines(path))


def source_files(path: Path) -> list[Path]:
    """The files that `read_traces(path)` reads: all journals in a folder at any depth, or the file itself.

    Hidden folders are not read.

    Raises:
        DatasetError: the folder holds no journal.
    """
    files = [path]
    if path.is_dir():
        found = journal_folders(path, "**/")
        files = [journal_at(each) for each in found if not _is_hidden(each.relative_to(path))]
    if not files:
        raise DatasetError(f"{path} holds no {JOURNAL_FILE}; give the folder of a run, or a file.")
    return files


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def traces_of_events(events: Iterable[Event | Command]) -> Iterator[TraceRow]:
    """The finished traces of one recorded question, in order of their numbers.

    Pruned, stopped and failed traces gave no answer and are left out. Answers are in the spelling of their class
    within the run.
    """
    view = RunView.of(events)
    if view.run is None:
        return
    for _, trace in sorted(view.traces.items()):
        if trace.ending == "finished":
            yield TraceRow(
                question_id=view.run.question_id,
                question=view.run.question,
                text=trace.text,
                answer=trace.answer,
                gold=view.run.gold,
                model=view.run.capabilities.reasoner.model,
            )


def read_all_traces(paths: Sequence[Path]) -> Iterator[TraceRow]:
    """The rows of all files, as `read_traces` gives them.

    The author of a file numbers its answer classes, so they are dropped where one model's traces of a question are
    in two files.
    """
    if len(paths) == 1:
        yield from read_traces(paths[0])
        return
    found: dict[tuple[str, str], tuple[int, list[TraceRow]]] = {}
    for number, path in enumerate(paths):
        for row in read_traces(path):
            first, rows = found.setdefault((row.question_id, row.model), (number, []))
            if first != number:
                rows[:] = [replace(each, answer_class=None) for each in rows]
                row = replace(row, answer_class=None)
            rows.append(row)
    for _, rows in found.values():
        yield from rows


def group_by_question(rows: Iterable[TraceRow]) -> dict[str, list[TraceRow]]:
    """All traces of each question, in order of first appearance, by the first id of its text.

    Raises DatasetError for two texts under one id.
    """
    index = QuestionIndex()
    groups: dict[str, list[TraceRow]] = {}
    for row in rows:
        groups.setdefault(index.id_of(row.question_id, row.question), []).append(row)
    return groups


def _recorded(journal: Path) -> Iterator[TraceRow]:
    try:
        yield from traces_of_events(read_journal(journal))
    except JournalError as error:
        raise DatasetError(str(error)) from None


def _json_lines(path: Path) -> Iterator[_Line]:
    decoder = msgspec.json.Decoder(_Line)
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as lines:
            for number, read in enumerate(lines, start=1):
                line = read.removeprefix(codecs.BOM_UTF8) if number == 1 else read
                if line.strip():
                    try:
                        yield decoder.decode(line)
                    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                        raise _no_trace(f"{path} line {number}", error) from None
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(path, error) from None


def _parquet_lines(path: Path) -> Iterator[_Line]:
    """The rows of a Parquet file; one row group is in memory at a time."""
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise ConfigError(
            f"{path} needs pyarrow; run pip install pyarrow, or give JSON lines."
        ) from None
    try:
        with ParquetFile(path) as file:
            known = [name for name in file.schema_arrow.names if name in _Line.__struct_fields__]
            number = 0
            for batch in file.iter_batches(batch_size=_PARQUET_ROWS, columns=known):
                for columns in batch.to_pylist():
                    number += 1
                    yield _converted(columns, f"{path} row {number}")
    except (OSError, UnicodeDecodeError, ArrowException) as error:
        raise _unreadable(path, error) from None


def _converted(columns: dict[str, Any], where: str) -> _Line:
    try:
        return msgspec.convert(columns, _Line)
    except msgspec.ValidationError as error:
        raise _no_trace(where, error) from None


def _row(line: _Line, answer_regex: str | None) -> TraceRow:
    if line.answer is msgspec.UNSET:
        finished = line.finish_reason != "length"
        answer = extract_answer(line.text, regex=answer_regex, finished=finished)
    else:
        answer = _text(line.answer)
    return TraceRow(
        question_id=str(line.question_id),
        question=line.question,
        text=line.text,
        answer=answer,
        gold=_text(line.gold),
        model=line.model or "",
        answer_class=line.answer_class,
    )


def _text(value: object) -> str | None:
    """A value as text; None for a missing one: null, white space, or NaN in a table."""
    return None if value is None or value != value or not str(value).strip() else str(value)


def _no_trace(where: str, error: Exception) -> DatasetError:
    return DatasetError(f"{where} is not a trace ({error}); correct or remove it.")


def _unreadable(path: Path, error: Exception) -> DatasetError:
    return DatasetError(f"{path} cannot be read ({error}); check the path and the file.")


def fingerprint(question_id: str, question: str) -> str:
    """A hash of the question's text without regard to its spacing; of its id if it has no text. 32 hex digits."""
    text = " ".join(question.split())
    return hashlib.blake2b((text or question_id).encode(), digest_size=16).hexdigest()


class QuestionIndex:
    """The questions read so far, by id and by text."""

    def __init__(self) -> None:
        self._fingerprints: dict[str, str] = {}
        self._ids: dict[str, str] = {}

    @property
    def repeated(self) -> int:
        """Ids whose text was read already under another id, which stands for both."""
        return len(self._fingerprints) - len(self._ids)

    def id_of(self, question_id: str, question: str) -> str:
        """The first id of this text. Raises DatasetError if the id stands for another text already."""
        found = fingerprint(question_id, question)
        if self._fingerprints.setdefault(question_id, found) != found:
            raise DatasetError(
                f"The traces give two different questions the id '{question_id}'; "
                "give each question an id of its own."
            )
        return self._ids.setdefault(found, question_id)
