"""Questions files: JSONL, JSON, CSV (also gzipped) or Parquet, read whole and checked before a token is spent.

Whatever is wrong with a file is one sentence that names the file and the place in it.
"""

import csv
import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from orchestrator.choices import gold_letter, labels_of, options_of, with_options
from orchestrator.core.answer import extract_answer
from orchestrator.core.prompting import Message, parse_messages
from orchestrator.errors import DatasetError

__all__ = ["Question", "question_of_messages", "read_questions", "to_jsonl"]

_ID_COLUMNS = ("id", "question_id")
_QUESTION_COLUMNS = ("messages", "question", "problem", "prompt")
_GOLD_COLUMNS = (
    "answer",
    "gold",
    "answerkey",
    "answer_key",
    "final_answer",
    "target",
    "solution",
)
_FORMATS = ".jsonl, .json or .csv (also with .gz), or .parquet"


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """One question; `gold` is the right answer, or None if the file does not give it.

    `options` are the texts of a multiple choice, in the order of their letters; the question lists them, too.
    `messages` are the chat that asks it, if it is more than a text; `question` is the last of them then.
    """

    id: str
    question: str
    gold: str | None = None
    options: tuple[str, ...] = ()
    messages: tuple[Message, ...] = ()


class _Record(NamedTuple):
    """One entry of a file: where it stands, for messages; its number, for an id; its columns."""

    place: str
    number: int
    columns: Mapping[str, Any]


def question_of_messages(messages: object, *, id: str, gold: str | None = None) -> Question:  # noqa: A002
    """The question that a chat asks, such as [{"role": "user", "content": "Why?"}]; a content may be text parts.

    Raises:
        ValueError: it is no chat of texts that ends with a message of the user.
    """
    chat = parse_messages(messages)
    return Question(id=id, question=chat[-1].content.strip(), gold=gold, messages=chat)


def read_questions(path: Path | str) -> list[Question]:
    """The questions in `path`, in the order of the file; numbers become text.

    Without an id column, the id is the line in a JSONL file, and the number of the entry, counted from 1,
    in a JSON list or a CSV file.

    Raises:
        DatasetError: the file is missing, empty or malformed, or gives one id twice.
    """
    path = Path(path)
    if path.suffix.lower() == ".parquet":
        records = _parquet(path)
    else:
        records = _parser(path)(path, _text(path))
    places: dict[str, str] = {}
    questions = []
    for record in records:
        question = _question(path, record)
        if question.id in places:
            raise DatasetError(
                f"{path}: {places[question.id]} and {record.place} both have the id '{question.id}'; "
                "give each question its own."
            )
        places[question.id] = record.place
        questions.append(question)
    if not questions:
        raise DatasetError(f"{path} holds no question; add at least one.")
    return questions


def to_jsonl(questions: Iterable[Question]) -> str:
    """The questions as text that `read_questions` reads again."""
    return "".join(json.dumps(_row(question)) + "\n" for question in questions)


def _row(question: Question) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": question.id,
        "question": question.question,
        "answer": question.gold,
    }
    if question.options:
        row["options"] = list(question.options)
    if question.messages:
        row["messages"] = msgspec.to_builtins(question.messages)
    return row


def _parser(path: Path) -> Callable[[Path, str], Iterator[_Record]]:
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    parsers = {".jsonl": _jsonl, ".ndjson": _jsonl, ".json": _json_list, ".csv": _csv}
    if not suffixes or suffixes[-1] not in parsers:
        raise DatasetError(f"{path} has no known format; name it {_FORMATS}.")
    return parsers[suffixes[-1]]


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
        if path.suffix.lower() == ".gz":
            content = gzip.decompress(content)
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise DatasetError(
            f"{path} line {line} is not UTF-8 text; save the file as UTF-8."
        ) from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DatasetError(f"{path} is not a whole gzip file; compress it again.") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise DatasetError(f"Cannot read {path}: {reason}; check the path.") from error


def _jsonl(path: Path, text: str) -> Iterator[_Record]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            place = f"line {number}"
            yield _Record(place, number, _object(path, place, _json(f"{path} {place}", line)))


def _json_list(path: Path, text: str) -> Iterator[_Record]:
    if _is_json_lines(text):
        yield from _jsonl(path, text)
        return
    entries = _json(str(path), text) if text.strip() else []
    if not isinstance(entries, list):
        raise DatasetError(f"{path} must hold a list of questions; put [ ] around them.")
    for number, entry in enumerate(entries, start=1):
        place = f"entry {number}"
        yield _Record(place, number, _object(path, place, entry))


def _is_json_lines(text: str) -> bool:
    """Whether a file named .json holds one object a line."""
    first, _, rest = text.lstrip().partition("\n")
    if not first.startswith("{") or not rest.strip():
        return False
    try:
        json.loads(first)
    except (json.JSONDecodeError, RecursionError):
        return False
    return True


def _parquet(path: Path) -> Iterator[_Record]:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        raise DatasetError(
            f"{path} needs pyarrow to be read; run pip install pyarrow, or convert the file to .jsonl."
        ) from error
    try:
        rows = parquet.read_table(path).to_pylist()
    except OSError as error:
        raise DatasetError(
            f"Cannot read {path}: {error.strerror or error}; check the path."
        ) from error
    except ArrowException as error:
        raise DatasetError(f"{path} is not a Parquet file ({error}); check the path.") from error
    for number, row in enumerate(rows, start=1):
        columns = {name: _as_text(value) for name, value in row.items()}
        yield _Record(f"row {number}", number, columns)


def _as_text(value: Any) -> Any:
    """A number as text, as the other formats give it; a missing number is None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return None if value != value else str(value)


def _csv(path: Path, text: str) -> Iterator[_Record]:
    csv.field_size_limit(
        max(csv.field_size_limit(), len(text) + 1)
    )  # a field may be as long as its file
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    number = 0
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            line = reader.line_num + 1
            raise DatasetError(f"{path} line {line} is not valid CSV ({error}).") from error
        if row is None:
            return
        number += 1
        place = f"line {reader.line_num}"
        if None in row:
            raise DatasetError(f"{path} {place} has more fields than the header; quote its commas.")
        yield _Record(place, number, row)


def _json(where: str, text: str) -> Any:
    """`text` decoded; numbers keep their spelling, as text."""
    try:
        return json.loads(text, parse_int=str, parse_float=str)
    except json.JSONDecodeError as error:
        reason = f"{error.msg} at column {error.colno}"
        if "\n" in text.strip():
            reason = f"{error.msg} at line {error.lineno} column {error.colno}"
        raise DatasetError(f"{where} is not valid JSON ({reason}); correct it.") from error
    except RecursionError as error:
        raise DatasetError(f"{where} is nested too deeply to be a question; correct it.") from error


def _object(path: Path, place: str, entry: Any) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise DatasetError(f'{path} {place} is not an object such as {{"question": "..."}}.')
    return entry


def _question(path: Path, record: _Record) -> Question:
    name = _first_column(record, _QUESTION_COLUMNS)
    if name is None:
        found = ", ".join(str(column) for column in record.columns) or "none"
        raise DatasetError(
            f"{path} {record.place} has no question: needs a column question, problem, prompt or messages; "
            f"found {found}."
        )
    try:
        options = options_of(record.columns)
    except ValueError as error:
        raise DatasetError(
            f"{path} {record.place}: {error}; give options as a list of texts, or leave the column out."
        ) from error
    messages = _messages(path, record, name)
    text = messages[-1].content.strip() if messages else _column_text(path, record, name)
    asked = with_options(text, options)
    if messages and options:
        messages = (*messages[:-1], Message("user", asked))
    return Question(
        id=_column_text(path, record, _first_column(record, _ID_COLUMNS)) or str(record.number),
        question=asked,
        gold=gold_letter(_gold(path, record), options, labels_of(record.columns)),
        options=options,
        messages=messages,
    )


def _messages(path: Path, record: _Record, name: str) -> tuple[Message, ...]:
    """The chat in a column; empty where the column has a text. CSV holds a chat as JSON."""
    value = record.columns[name]
    if name.lower() == "messages" and isinstance(value, str):
        value = _json(f"{path} {record.place}: {name}", value)
    elif isinstance(value, str | bool):
        return ()
    try:
        messages = parse_messages(value)
    except ValueError as error:
        raise DatasetError(
            f'{path} {record.place}: {error}; write {name} as a text, or as [{{"role": "user", "content": "..."}}].'
        ) from error
    for message in messages:
        _validate_characters(path, record, name, message.content)
    return messages


def _gold(path: Path, record: _Record) -> str | None:
    """The right answer; a worked solution is read for the answer at its end."""
    name = _first_column(record, _GOLD_COLUMNS)
    text = _column_text(path, record, name)
    if "####" in text:  # GSM8K writes the working, then "#### 42"
        text = text.rpartition("####")[2].strip()
    elif name and name.lower() == "solution":
        text = extract_answer(text) or text
    return text or None


def _first_column(record: _Record, names: tuple[str, ...]) -> str | None:
    """The first column of `names` that the record fills, as the record spells it: in any case."""
    spelled = {str(column).lower(): column for column in record.columns}
    for name in names:
        column = spelled.get(name)
        if column is not None and not _is_empty(record.columns[column]):
            return column
    return None


def _is_empty(value: Any) -> bool:
    return value is None or not str(value).strip()


def _column_text(path: Path, record: _Record, name: str | None) -> str:
    value = "" if name is None else record.columns[name]
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str):
        raise DatasetError(f"{path} {record.place}: {name} must be text or a number.")
    _validate_characters(path, record, str(name), value)
    return value.strip()


def _validate_characters(path: Path, record: _Record, name: str, text: str) -> None:
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise DatasetError(f"{path} {record.place}: {name} holds half a character; write it whole.")
