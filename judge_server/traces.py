"""Finished traces from a file: JSON lines, plain or gzipped, one trace a line.

The rule: a file that cannot be used is refused by name and line before any work is done on it.
"""

import gzip
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from orchestrator.errors import DatasetError

__all__ = ["TraceRow", "group_by_question", "read_traces"]


class TraceRow(msgspec.Struct, frozen=True):
    """One trace of one question; `answer` is None where the trace was cut before it gave one."""

    question_id: str
    question: str
    text: str
    answer: str | None = None
    gold: str | None = None
    model: str = ""


def read_traces(path: Path) -> Iterator[TraceRow]:
    """The rows of a file in its order; unknown fields are passed over.

    Raises DatasetError if the file cannot be read or a line is not a trace.
    """
    decoder = msgspec.json.Decoder(TraceRow, strict=False)
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield _decode(decoder, line, f"{path} line {number}")
    except (OSError, EOFError) as error:
        raise DatasetError(f"{path} cannot be read ({error}); check the path.") from None


def _decode(decoder: "msgspec.json.Decoder[TraceRow]", line: bytes, where: str) -> TraceRow:
    try:
        return decoder.decode(line)
    except msgspec.DecodeError as error:
        raise DatasetError(f"{where} is not a trace ({error}); mend or remove it.") from None


def group_by_question(rows: Iterable[TraceRow]) -> dict[str, list[TraceRow]]:
    """All traces of each question, in order of first appearance."""
    groups: dict[str, list[TraceRow]] = {}
    for row in rows:
        groups.setdefault(row.question_id, []).append(row)
    return groups
