"""A journal that is over is compressed: nothing is lost however that ends, and it reads as before."""

import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.core.commands import Command
from orchestrator.core.events import Event
from orchestrator.errors import ConfigError, JournalError
from orchestrator.journal.archive import compress_journal, is_compressed, validate_plain
from orchestrator.journal.journal import JournalTail, JournalWriter, read_journal
from orchestrator.journal.replay import replay
from orchestrator.journal.run_dir import (
    COMPRESSED_JOURNAL_FILE,
    JOURNAL_FILE,
    has_journal,
    run_folders,
)
from tests.support.recordings import record_run

Entries = list[Event | Command]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of a run with one question that is over."""
    record_run(tmp_path / "run", "q", ["4", "5"] * 40)
    return tmp_path / "run"


@pytest.fixture
def entries(run: Path) -> Entries:
    return list(read_journal(run))


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if "journal" in path.name}


def test_a_compressed_journal_takes_the_place_of_the_plain_one_and_reads_the_same(
    run: Path, entries: Entries
) -> None:
    plain, before = (run / JOURNAL_FILE).stat().st_size, replay(run)
    compress_journal(run)
    assert names(run) == {COMPRESSED_JOURNAL_FILE}
    assert is_compressed(run)
    assert (run / COMPRESSED_JOURNAL_FILE).stat().st_size < plain / 2
    for path in (run, run / JOURNAL_FILE, run / COMPRESSED_JOURNAL_FILE):
        assert list(read_journal(path)) == entries
    assert replay(run) == before
    assert run_folders(run) == [run]
    assert run_folders(run.parent) == [run]


def stops_at(monkeypatch: pytest.MonkeyPatch, owner: str, name: str) -> None:
    def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(f"{owner}.{name}", killed)


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        ("shutil", "copyfileobj"),
        ("orchestrator.journal.archive.os", "fsync"),
        ("orchestrator.journal.archive", "_check"),
        ("pathlib.Path", "replace"),
        ("orchestrator.journal.archive", "_sync"),
    ],
)
def test_an_end_between_two_steps_leaves_a_whole_journal_that_can_be_compressed_later(
    owner: str, name: str, run: Path, entries: Entries, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        stops_at(patched, owner, name)
        with pytest.raises(KeyboardInterrupt):
            compress_journal(run)
    assert list(read_journal(run)) == entries
    assert not is_compressed(run)
    compress_journal(run)
    assert names(run) == {COMPRESSED_JOURNAL_FILE}
    assert list(read_journal(run)) == entries


def test_what_a_kill_left_unfinished_is_written_anew(run: Path, entries: Entries) -> None:
    (run / f".{COMPRESSED_JOURNAL_FILE}.tmp").write_bytes(b"\x1f\x8b half")
    (run / COMPRESSED_JOURNAL_FILE).write_bytes(b"\x1f\x8b older")
    assert list(read_journal(run)) == entries  # the plain one counts
    compress_journal(run)
    assert names(run) == {COMPRESSED_JOURNAL_FILE}
    assert list(read_journal(run)) == entries


def test_a_disk_without_room_keeps_the_plain_journal(run: Path, entries: Entries) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(JournalError, match="cannot be written"):
            compress_journal(run)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert names(run) == {JOURNAL_FILE}
    assert list(read_journal(run)) == entries


def test_a_file_that_does_not_give_the_journal_back_is_not_put_in_its_place(
    run: Path, entries: Entries, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lossy(source: Any, target: Any, size: int) -> None:
        target.write(source.read()[:-1])

    monkeypatch.setattr("shutil.copyfileobj", lossy)
    with pytest.raises(JournalError, match="bytes were kept"):
        compress_journal(run)
    assert names(run) == {JOURNAL_FILE}
    assert list(read_journal(run)) == entries


def _last_byte_gone(data: bytes) -> bytes:
    return data[:-1]


def _half(data: bytes) -> bytes:
    return data[: len(data) // 2]


def _bent(data: bytes) -> bytes:
    return data[:200] + bytes([data[200] ^ 0xFF]) + data[201:]


def _other_checksum(data: bytes) -> bytes:
    return data[:-8] + bytes(4) + data[-4:]


def _no_gzip(data: bytes) -> bytes:
    return b"plain text\n"


@pytest.mark.parametrize("damage", [_last_byte_gone, _half, _bent, _other_checksum, _no_gzip])
@pytest.mark.parametrize("read", [lambda run: list(read_journal(run)), replay])
def test_a_compressed_journal_that_is_not_whole_is_refused_in_one_sentence(
    damage: Callable[[bytes], bytes], read: Callable[[Path], object], run: Path
) -> None:
    compress_journal(run)
    path = run / COMPRESSED_JOURNAL_FILE
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(
        JournalError, match=r"^The journal .*\.gz was cut off or damaged.*\.$|^Line "
    ):
        read(run)


def test_a_reader_of_a_growing_journal_goes_on_in_the_compressed_one(
    run: Path, entries: Entries
) -> None:
    whole = (run / JOURNAL_FILE).read_bytes()
    lines = whole.splitlines(keepends=True)
    (run / JOURNAL_FILE).write_bytes(b"".join(lines[:5]))
    tail = JournalTail(run)
    read = tail.poll()
    assert read == entries[:4]
    (run / JOURNAL_FILE).write_bytes(whole)
    compress_journal(run)
    read += tail.poll()
    assert read == entries
    assert tail.poll() == []


def test_a_compressed_journal_of_a_run_that_is_not_over_is_not_continued(run: Path) -> None:
    validate_plain(None)
    validate_plain(run)
    compress_journal(run)
    with pytest.raises(JournalError, match="gunzip"):
        validate_plain(run)


def test_folders_are_found_by_either_file(tmp_path: Path) -> None:
    for name in ("0001-a", "0002-b"):
        JournalWriter.create(tmp_path / name).close()
    compress_journal(tmp_path / "0001-a")
    assert [has_journal(tmp_path / name) for name in ("0001-a", "0002-b")] == [True, True]
    assert [path.name for path in run_folders(tmp_path)] == ["0001-a", "0002-b"]
    with pytest.raises(ConfigError, match="holds no"):
        run_folders(tmp_path / "0001-a" / "none")
