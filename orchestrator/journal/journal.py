"""The journal of one question: every event and command as one JSON line, in the order in which they happened.

Everything but the newest text is on disk as soon as it has been written. A disk that refuses a byte is a
`JournalError`, if possible before any token is spent.
"""

import contextlib
import fcntl
import io
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from orchestrator.core.commands import Command
from orchestrator.core.events import Event, TokensArrived
from orchestrator.errors import JournalError
from orchestrator.journal.archive import journal_at, opened_journal
from orchestrator.journal.encoding import HEADER_LINE, Decoder, check_header, entry_encoder
from orchestrator.journal.run_dir import JOURNAL_FILE, PRIVATE, unwritable

__all__ = ["JournalTail", "JournalWriter", "read_journal"]

_BUFFER_BYTES = 1 << 16
_PROBE_BYTES = 1 << 16
"""Written and removed again at the start, to find a full disk before any token is spent."""

_TAIL_BYTES = 1 << 23

_FLUSH_SECONDS = 0.5
"""Streamed text stays in memory no longer than this, in seconds of the run's own time."""


class JournalWriter:
    """Appends entries to a run's journal; a context manager that closes it.

    Text (`TokensArrived`) is buffered for at most half a second of the run's time, and until `flush`; every other
    entry is handed to the operating system at once, so a kill loses some streamed text at most. While it is
    open, no other process can write the journal.
    """

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path = path
        self._file = file
        self._encoder = entry_encoder()
        self._flushed_at = 0.0

    @classmethod
    def create(cls, run_dir: Path) -> Self:
        """The open, empty journal in `run_dir`, on a disk that was seen to take bytes.

        Raises:
            JournalError: the folder cannot be written, or holds a journal already.
        """
        path = run_dir / JOURNAL_FILE
        try:
            run_dir.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
            _probe(path)
            file = path.open("ab", buffering=_BUFFER_BYTES)
        except OSError as error:
            raise unwritable(path, error) from error
        _lock(path, file)
        return cls._begun(path, file)

    @classmethod
    def open(cls, run_dir: Path) -> Self:
        """The journal in `run_dir`, to be continued after its last whole line; a new one if there is none.

        Raises:
            JournalError: the journal cannot be written, is one of another version, or another process writes it.
        """
        path = run_dir / JOURNAL_FILE
        if not path.exists():
            return cls.create(run_dir)
        try:
            with contextlib.ExitStack() as stack:
                file = stack.enter_context(path.open("r+b", buffering=_BUFFER_BYTES))
                _lock(path, file)
                whole = _whole_bytes(path, file)
                file.truncate(whole)
                file.seek(whole)
                stack.pop_all()
        except OSError as error:
            raise unwritable(path, error) from error
        return cls(path, file) if whole else cls._begun(path, file)

    @classmethod
    def _begun(cls, path: Path, file: BinaryIO) -> Self:
        """The writer of an empty file, with its header written."""
        writer = cls(path, file)
        try:
            file.write(HEADER_LINE)
            file.flush()
        except OSError as error:
            raise unwritable(path, error) from error
        return writer

    def write(self, *entries: Event | Command) -> None:
        """Appends entries, and hands them to the operating system together.

        Raises:
            JournalError: the disk refuses, now or when buffered text is handed over.
        """
        try:
            is_due = False
            for entry in entries:
                self._file.write(self._encoder.encode(entry) + b"\n")
                if not isinstance(entry, TokensArrived):
                    is_due = True
                elif entry.at - self._flushed_at >= _FLUSH_SECONDS:
                    self._flushed_at = entry.at
                    is_due = True
            if is_due:
                self._file.flush()
        except (OSError, UnicodeEncodeError) as error:
            raise unwritable(self.path, error) from error

    def flush(self) -> None:
        """Hands over what is buffered.

        Raises:
            JournalError: the disk refuses it.
        """
        try:
            self._file.flush()
        except OSError as error:
            raise unwritable(self.path, error) from error

    def close(self) -> None:
        """Hands over what is buffered and closes the file; a second call does nothing.

        Raises:
            JournalError: the disk refuses the last entries.
        """
        try:
            self._file.close()
        except OSError as error:
            raise unwritable(self.path, error) from error

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

    A last line that was cut off by a kill is left out; any other unreadable line is an error.

    Raises:
        JournalError: the file cannot be read, or is a journal of another version; or a line, named by its number,
            is damaged.
    """
    file_path = journal_at(path)
    decoder = Decoder(file_path)
    with opened_journal(file_path) as file:
        header = file.readline()
        if header.endswith(b"\n"):
            check_header(file_path, header)
        for line in file:
            try:
                entry = decoder.decode(line)
            except JournalError:
                if not line.endswith(b"\n"):
                    return
                raise
            yield entry


class JournalTail:
    """Reads a journal that is still being written; `poll` gives what has been added since the last call."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._decoder = Decoder(journal_at(path))
        self._offset = 0

    def poll(self) -> list[Event | Command]:
        """The whole lines added since the last call, some megabytes at most; a line that is not whole yet waits.

        Raises:
            JournalError: the file cannot be read, or is a journal of another version; or a line, named by its
                number, is damaged.
        """
        with opened_journal(journal_at(self._path)) as file:
            file.seek(self._offset)
            if self._offset == 0:
                self._read_header(file)
            data = file.read(_TAIL_BYTES) + file.readline()
        if self._offset == 0:  # the header is not whole yet
            return []
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        return [self._decoder.decode(line) for line in whole.splitlines()]

    def _read_header(self, file: io.BufferedIOBase) -> None:
        line = file.readline()
        if line.endswith(b"\n"):
            check_header(journal_at(self._path), line)
            self._offset = len(line)


def _probe(path: Path) -> None:
    """Creates the file and makes the disk take some bytes for a moment; raises OSError if it takes fewer."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        left = _PROBE_BYTES
        while left:  # a disk that is nearly full takes a part and refuses the rest
            left -= os.write(descriptor, b"\n" * left)
        os.fsync(descriptor)
    except OSError:
        path.unlink()
        raise
    finally:
        os.ftruncate(descriptor, 0)
        os.close(descriptor)


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


def _whole_bytes(path: Path, file: BinaryIO) -> int:
    """Where the last whole line ends; 0 for a file without a header, such as one that only holds the probe.

    Raises JournalError for a journal of another version.
    """
    header = file.readline()
    if header == b"\n" or not header.endswith(b"\n"):
        return 0
    check_header(path, header)
    return len(header) + sum(len(line) for line in file if line.endswith(b"\n"))
