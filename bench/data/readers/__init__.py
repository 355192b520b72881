"""Readers of recorded questions: probe matrices, files of traces, tables of MARS, and journals of runs."""

import gzip
import zlib
from collections.abc import Callable
from pathlib import Path

from bench.data.readers.journals import read_run
from bench.data.readers.mars_table import read_mars_table
from bench.data.readers.prefix_consistency import (
    is_prefix_consistency,
    read_prefix_consistency,
)
from bench.data.readers.probe_matrix import read_probe_matrix
from bench.data.readers.traces_file import read_traces_file
from bench.data.recorded import RecordedQuestion
from orchestrator.errors import DatasetError

__all__ = ["read_recorded"]


def _read_jsonl(name: str, text: str) -> list[RecordedQuestion]:
    """Traces, or the published form of prefix consistency, by the first line."""
    reader = read_prefix_consistency if is_prefix_consistency(text) else read_traces_file
    return reader(name, text)


_READERS: dict[str, Callable[[str, str], list[RecordedQuestion]]] = {
    ".json": read_probe_matrix,
    ".jsonl": _read_jsonl,
}

_PICKLES = (".pkl", ".pickle")


def read_recorded(path: Path) -> list[RecordedQuestion]:
    """The questions in `path`: a run's folder, traces in .jsonl, a probe matrix in .json (both also with .gz), or a table.

    Raises:
        DatasetError: the file cannot be read, or is none of these; the message names it.
    """
    if path.is_dir():
        return read_run(path)
    questions = _read_file(path)
    if not questions:
        raise DatasetError(f"{path} has no traces; add at least one.")
    return questions


def _read_file(path: Path) -> list[RecordedQuestion]:
    """The questions of a file, by the ending of its name."""
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    suffix = suffixes[-1] if suffixes else ""
    if suffix == ".parquet":
        return read_mars_table(path)
    if suffix in _PICKLES:
        raise DatasetError(
            f"{path} is a pickle, which can run any program when it is loaded; give the traces as .parquet or .jsonl."
        )
    reader = _READERS.get(suffix)
    if reader is None:
        raise DatasetError(
            f"{path} has no known format; give a run's folder, traces in .jsonl or .parquet, or a probe matrix in .json."
        )
    return reader(str(path), _text(path))


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
        if path.suffix.lower() == ".gz":
            content = gzip.decompress(content)
        return content.decode("utf-8-sig")
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DatasetError(f"{path} is not a complete gzip file; compress it again.") from error
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path} is not UTF-8 text; save it as UTF-8.") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise DatasetError(f"Cannot read {path}: {reason}; check the path.") from error
