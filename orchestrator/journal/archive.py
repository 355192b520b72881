"""Journals that are over as gzip files: compressed without ever being lost, and read like plain ones.

While both files are there the plain one counts: it is removed only after the compressed one is whole, checked and on
the disk.
"""

import contextlib
import gzip
import io
import os
import shutil
import zlib
from collections.abc import Iterator
from pathlib import Path

from orchestrator.errors import JournalError
from orchestrator.journal.run_dir import COMPRESSED_JOURNAL_FILE, JOURNAL_FILE, unwritable

__all__ = ["compress_journal", "is_compressed", "journal_at", "opened_journal", "validate_plain"]

_CHUNK_BYTES = 1 << 20
_LEVEL = 6


def journal_at(path: Path) -> Path:
    """The journal of a run's folder, or the one at a path; the compressed one where the plain one is not there."""
    plain = path / JOURNAL_FILE if path.is_dir() else path
    compressed = plain.with_name(COMPRESSED_JOURNAL_FILE)
    if plain.name == JOURNAL_FILE and not plain.exists() and compressed.exists():
        return compressed
    return plain


def is_compressed(path: Path) -> bool:
    """Whether the journal of the folder, or the one at the path, is compressed."""
    return journal_at(path).suffix == ".gz"


def validate_plain(folder: Path | None) -> None:
    """Checks that the run of a journal in the folder can be continued.

    Raises:
        JournalError: the journal is compressed, and the run was not over.
    """
    if folder is not None and is_compressed(folder):
        raise JournalError(
            f"{journal_at(folder)} is the journal of a run that is not over; decompress it with gunzip to continue."
        )


@contextlib.contextmanager
def opened_journal(path: Path) -> Iterator[io.BufferedIOBase]:
    """The journal at the path, plain or compressed, for reading its bytes.

    Raises:
        JournalError: it cannot be read, or is compressed and not whole, or is a pipe or a device, which may never end.
    """
    if path.exists() and not path.is_file():
        raise JournalError(f"{path} is no file: give the folder of a run.")
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            yield file
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise JournalError(
            f"The journal {path} was cut off or damaged ({error}): copy the run's folder again from where it was written."
        ) from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise JournalError(
            f"The journal {path} cannot be read ({reason}): give the folder of a run."
        ) from error


def compress_journal(folder: Path) -> None:
    """Puts a compressed journal in the place of the plain one in the folder, which nobody may write any more.

    A kill at any moment leaves a whole journal.

    Raises:
        JournalError: the disk refuses; the plain journal stays.
    """
    plain, compressed = folder / JOURNAL_FILE, folder / COMPRESSED_JOURNAL_FILE
    unfinished = folder / f".{COMPRESSED_JOURNAL_FILE}.tmp"
    try:
        try:
            _write(plain, unfinished)
            _check(plain, unfinished)
            unfinished.replace(compressed)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
        _sync(folder)
        plain.unlink()
    except OSError as error:
        raise unwritable(compressed, error) from error


def _write(plain: Path, unfinished: Path) -> None:
    with plain.open("rb") as source, unfinished.open("wb") as target:
        with gzip.GzipFile("", "wb", _LEVEL, target, mtime=0) as packed:
            shutil.copyfileobj(source, packed, _CHUNK_BYTES)
        target.flush()
        os.fsync(target.fileno())


def _check(plain: Path, unfinished: Path) -> None:
    """Raises OSError if the compressed file does not give back as many bytes as the plain one has, with their checksum."""
    size = 0
    with gzip.open(unfinished) as packed:
        while chunk := packed.read(_CHUNK_BYTES):
            size += len(chunk)
    if size != plain.stat().st_size:
        raise OSError(f"{size} of {plain.stat().st_size} bytes were kept")


def _sync(folder: Path) -> None:
    """Puts the names in the folder on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
