"""The journal of one question: every event and order as one JSON line, in the order in which they happened.

The rule: nothing is lost in silence. Everything but the newest text is on disk as soon as it has been
written, and a disk that refuses a byte is a `JournalError`, if possible before any token is spent.

A run's folder holds `journal.jsonl`, `settings.yaml`, `questions.jsonl` and `report.json`.
"""

import fcntl
import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import msgspec
from pydantic import ValidationError

from orchestrator.config.explain import explain
from orchestrator.core.events import Command, Event, TokensArrived
from orchestrator.errors import JournalError
from orchestrator.settings import Settings

__all__ = [
    "JOURNAL_FILE",
    "QUESTIONS_FILE",
    "REPORT_FILE",
    "SETTINGS_FILE",
    "JournalTail",
    "JournalWriter",
    "new_run_dir",
    "read_journal",
    "write_run_file",
]

JOURNAL_FILE = "journal.jsonl"
SETTINGS_FILE = "settings.yaml"
QUESTIONS_FILE = "questions.jsonl"
REPORT_FILE = "report.json"

_BUFFER_BYTES = 1 << 16
_PROBE_BYTES = 1 << 16
"""Written and taken back at the start, to find a full disk before any token is spent."""

_TAIL_BYTES = 1 << 23

_FLUSH_SECONDS = 0.5
"""Streamed text lies in memory no longer than this, in seconds of the run's own time."""


def new_run_dir(out: Path, now: datetime, token: str) -> Path:
    """The new, empty folder `<out>/<YYYY-MM-DDTHH-MM-SS>-<token>` of one question.

    Raises:
        JournalError: the folder cannot be made, or is there already.
    """
    run_dir = out / f"{now:%Y-%m-%dT%H-%M-%S}-{token}"
    try:
        run_dir.mkdir(parents=True)
    except OSError as error:
        raise _unwritable(run_dir, error) from error
    return run_dir


def write_run_file(run_dir: Path, name: str, text: str) -> None:
    """Puts a whole small file (settings, report) into the run's folder, or leaves the old one as it was.

    Raises:
        JournalError: the file cannot be written.
    """
    unfinished = run_dir / f".{name}.tmp"
    try:
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(run_dir / name)
    except OSError as error:
        raise _unwritable(run_dir / name, error) from error


class JournalWriter:
    """Appends entries to a run's journal; a context manager that closes it.

    Text (`TokensArrived`) is buffered for at most half a second of the run's time, and until `flush`; every other
    entry is handed to the operating system at once, so a kill loses some streamed text at most. While it is
    open, no other process can write the journal.
    """

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path = path
        self._file = file
        self._encoder = msgspec.json.Encoder(enc_hook=_settings_to_json)
        self._flushed_at = 0.0

    @classmethod
    def create(cls, run_dir: Path) -> Self:
        """The open, empty journal in `run_dir`, on a disk that was seen to take bytes.

        Raises:
            JournalError: the folder cannot be written, or holds a journal already.
        """
        path = run_dir / JOURNAL_FILE
        try:
            run_dir.mkdir(parents=True, exist_ok=True)
            _probe(path)
            file = path.open("ab", buffering=_BUFFER_BYTES)
        except OSError as error:
            raise _unwritable(path, error) from error
        _lock(path, file)
        return cls(path, file)

    @classmethod
    def open(cls, run_dir: Path) -> Self:
        """The journal in `run_dir`, to be gone on with behind its last whole line; a new one if there is none.

        Raises:
            JournalError: the journal cannot be written, or another process writes it.
        """
        path = run_dir / JOURNAL_FILE
        if not path.exists():
            return cls.create(run_dir)
        try:
            file = path.open("r+b", buffering=_BUFFER_BYTES)
            _lock(path, file)
            file.truncate(_whole_bytes(file))
            file.seek(0, os.SEEK_END)
        except OSError as error:
            raise _unwritable(path, error) from error
        return cls(path, file)

    def write(self, entry: Event | Command) -> None:
        """Appends one entry.

        Raises:
            JournalError: the disk refuses, now or when buffered text is handed over.
        """
        try:
            self._file.write(self._encoder.encode(entry) + b"\n")
            if not isinstance(entry, TokensArrived):
                self._file.flush()
            elif entry.at - self._flushed_at >= _FLUSH_SECONDS:
                self._flushed_at = entry.at
                self._file.flush()
        except (OSError, UnicodeEncodeError) as error:
            raise _unwritable(self.path, error) from error

    def flush(self) -> None:
        """Hands over what is buffered.

        Raises:
            JournalError: the disk refuses it.
        """
        try:
            self._file.flush()
        except OSError as error:
            raise _unwritable(self.path, error) from error

    def close(self) -> None:
        """Hands over what is buffered and closes the file; a second call does nothing.

        Raises:
            JournalError: the disk refuses the last entries.
        """
        try:
            self._file.close()
        except OSError as error:
            raise _unwritable(self.path, error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Closes; a failure to do so is never put in the place of the error that is under way."""
        try:
            self.close()
        except JournalError as failure:
            if error is None:
                raise
            error.add_note(str(failure))


def read_journal(path: Path) -> Iterator[Event | Command]:
    """The entries of a journal (or of a run's folder), one by one, as they were written.

    A last line that was torn by a kill is left out; any other unreadable line is an error.

    Raises:
        JournalError: the file cannot be read; or a line, named by its number, is damaged.
    """
    file_path = path / JOURNAL_FILE if path.is_dir() else path
    decoder = _decoder()
    try:
        with file_path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                try:
                    entry = decoder.decode(line)
                except (msgspec.DecodeError, UnicodeDecodeError) as error:
                    if not line.endswith(b"\n"):
                        return
                    raise _damaged(file_path, number, error) from error
                yield entry
    except OSError as error:
        raise _unreadable(file_path, error) from error


class JournalTail:
    """Reads a journal that is still being written; `poll` gives what has been added since the last call."""

    def __init__(self, path: Path) -> None:
        self._path = path / JOURNAL_FILE if path.is_dir() else path
        self._decoder = _decoder()
        self._offset = 0
        self._lines = 0

    def poll(self) -> list[Event | Command]:
        """The whole lines added since the last call, some megabytes at most; a torn line waits.

        Raises:
            JournalError: the file cannot be read; or a line, named by its number, is damaged.
        """
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                data = file.read(_TAIL_BYTES) + file.readline()
        except OSError as error:
            raise _unreadable(self._path, error) from error
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        return [self._decode(line) for line in whole.splitlines()]

    def _decode(self, line: bytes) -> Event | Command:
        self._lines += 1
        try:
            return self._decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise _damaged(self._path, self._lines, error) from error


def _decoder() -> msgspec.json.Decoder[Event | Command]:
    return msgspec.json.Decoder(Event | Command, dec_hook=_settings_from_json)


def _settings_to_json(value: Any) -> Any:
    """Settings as plain JSON; they are the only part of an entry that msgspec cannot encode itself."""
    if isinstance(value, Settings):
        return value.model_dump(mode="json")
    raise NotImplementedError(f"an entry cannot hold {type(value).__name__}")


def _settings_from_json(kind: type, value: Any) -> Any:
    if kind is not Settings:
        raise NotImplementedError(f"an entry cannot hold {kind.__name__}")
    try:
        return Settings.model_validate(value)
    except ValidationError as error:
        raise ValueError(explain(error, Settings, {}, "the journal")) from error


def _probe(path: Path) -> None:
    """Creates the file and makes the disk take some bytes for a moment."""
    with path.open("xb", buffering=0) as file:
        file.write(b"\n" * _PROBE_BYTES)
        os.fsync(file.fileno())
        file.truncate(0)


def _lock(path: Path, file: BinaryIO) -> None:
    """Keeps other writers out until the file is closed, be it by a kill."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        raise JournalError(
            f"{path} is being written by another process: let it end, or follow it with deepprune-tui."
        ) from error
    except OSError:  # some network disks have no locks
        return


def _whole_bytes(file: BinaryIO) -> int:
    """Where the last whole line ends; 0 for a file that holds nothing but the probe of a full disk."""
    end = 0
    holds_entries = False
    for line in file:
        holds_entries = holds_entries or line != b"\n"
        end += len(line) if line.endswith(b"\n") else 0
    return end if holds_entries else 0


def _unreadable(path: Path, error: OSError) -> JournalError:
    reason = error.strerror or str(error)
    return JournalError(f"The journal {path} cannot be read ({reason}): give the folder of a run.")


def _unwritable(path: Path, error: OSError | UnicodeEncodeError) -> JournalError:
    if isinstance(error, FileExistsError):
        return JournalError(f"{path} exists already: give another folder with --out.")
    reason = error.strerror if isinstance(error, OSError) else None
    return JournalError(
        f"{path} cannot be written ({reason or error}): make room, or give another folder with --out."
    )


def _damaged(path: Path, number: int, error: Exception) -> JournalError:
    return JournalError(
        f"Line {number} of {path} is not a journal entry ({error}): "
        "the file was damaged, or written by another version."
    )
