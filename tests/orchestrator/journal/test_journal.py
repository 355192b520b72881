import errno
import os
import resource
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from orchestrator.core.commands import Command, StartTrace, StopTrace
from orchestrator.core.events import (
    CheckpointReached,
    Event,
    RunInterrupted,
    TokensArrived,
    TracePaused,
)
from orchestrator.errors import JournalError
from orchestrator.journal.encoding import HEADER_LINE
from orchestrator.journal.journal import JournalTail, JournalWriter, read_journal
from orchestrator.journal.run_dir import JOURNAL_FILE, REPORT_FILE
from orchestrator.report.report import read_report
from orchestrator.settings import Settings
from tests.support.world import run_started

START = run_started(Settings())

ENTRIES: list[Event | Command] = [
    START,
    StartTrace(trace=0),
    TokensArrived(at=0.1, trace=0, text="so 1\n\x1b[31m ünï 🙂", tokens=3, token_ids=(1, 2, 3)),
    CheckpointReached(at=0.2, trace=0, chars=3, words=1, tokens=3, complete=False),
    StopTrace(trace=0, reason="pruned"),
    RunInterrupted(at=0.123456),
]


def write(run_dir: Path, entries: list[Event | Command]) -> Path:
    with JournalWriter.create(run_dir) as journal:
        for entry in entries:
            journal.write(entry)
    return journal.path


def tokens(at: float) -> TokensArrived:
    return TokensArrived(at=at, trace=0, text="x", tokens=1)


def test_reads_back_what_was_written_in_order(tmp_path: Path) -> None:
    path = write(tmp_path / "run", ENTRIES)
    assert list(read_journal(path)) == ENTRIES
    assert list(read_journal(tmp_path / "run")) == ENTRIES


def test_a_disk_with_room_for_a_part_of_the_probe_is_refused(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (28 << 10, hard))  # a short write, then an error
    try:
        with pytest.raises(JournalError, match="cannot be written"):
            JournalWriter.create(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


def test_a_line_without_confidences_is_read_as_before(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    told = TokensArrived(at=0.1, trace=0, text="so", tokens=2, confidences=(11.25, 3.5))
    old = b'{"type":"TokensArrived","at":0.1,"trace":0,"text":"so","tokens":2,"token_ids":[]}\n'
    write(tmp_path, [START])
    path.write_bytes(path.read_bytes() + old + msgspec.json.encode(told) + b"\n")
    read = [entry for entry in read_journal(path) if isinstance(entry, TokensArrived)]
    assert [entry.confidences for entry in read] == [(), (11.25, 3.5)]
    assert b"confidences" not in msgspec.json.encode(tokens(0.1))


def test_an_entry_is_one_line_with_its_type(tmp_path: Path) -> None:
    path = write(tmp_path, ENTRIES)
    lines = path.read_bytes().splitlines()
    assert (lines[0], lines[2]) == (HEADER_LINE.rstrip(), b'{"type":"StartTrace","trace":0}')
    assert len(lines) == 1 + len(ENTRIES)


def test_everything_before_the_newest_text_survives_a_kill(tmp_path: Path) -> None:
    journal = JournalWriter.create(tmp_path)
    journal.write(START)
    journal.write(tokens(0.0))
    journal.write(TracePaused(at=0.1, trace=0, tokens=1))
    journal.write(tokens(0.2))
    assert len(list(read_journal(journal.path))) == 3
    journal.close()
    assert len(list(read_journal(journal.path))) == 4


def test_text_reaches_the_disk_after_half_a_second_of_run_time(tmp_path: Path) -> None:
    journal = JournalWriter.create(tmp_path)
    journal.write(START)
    journal.write(tokens(0.4))
    assert list(read_journal(journal.path)) == [START]
    journal.write(tokens(0.5))
    assert len(list(read_journal(journal.path))) == 3
    journal.close()


@pytest.mark.parametrize(
    "torn", [b"{", b'{"type":"Ru', b'{"type":"RunInterrupted","at":1', b"\xc3"]
)
def test_leaves_out_a_torn_last_line(tmp_path: Path, torn: bytes) -> None:
    path = write(tmp_path, ENTRIES)
    with path.open("ab") as file:
        file.write(torn)
    assert list(read_journal(path)) == ENTRIES


def test_keeps_a_whole_last_line_that_only_lacks_its_end(tmp_path: Path) -> None:
    path = write(tmp_path, ENTRIES)
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    assert list(read_journal(path)) == ENTRIES


@pytest.mark.parametrize("damage", [b"{oops}\n", b'{"type":"Unknown","at":1}\n', b"\n", b"\xff\n"])
def test_names_the_damaged_line(tmp_path: Path, damage: bytes) -> None:
    path = write(tmp_path, ENTRIES)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], damage, *lines[2:]]))
    entries = read_journal(path)
    assert next(entries) == ENTRIES[0]
    with pytest.raises(JournalError, match=r"^Line 3 of .*journal\.jsonl is not a journal entry"):
        next(entries)


OTHERS = {
    "another version": b'{"format":"deepprune-journal","version":1}\n',
    "another format": b'{"format":"diary","version":2}\n',
    "no header": b'{"type":"StartTrace","trace":0}\n',
    "no JSON": b"nonsense\n",
}


@pytest.mark.parametrize("first", OTHERS.values(), ids=OTHERS)
def test_a_journal_of_another_version_is_one_sentence(tmp_path: Path, first: bytes) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(first + b'{"type":"StartTrace","trace":0}\n')
    reads: list[Callable[[], object]] = [
        lambda: list(read_journal(tmp_path)),
        lambda: JournalTail(tmp_path).poll(),
        lambda: JournalWriter.open(tmp_path),
    ]
    for read in reads:
        with pytest.raises(JournalError, match=r"journal\.jsonl .*start a new run\.$") as caught:
            read()
        assert "\n" not in str(caught.value)
    assert path.read_bytes().startswith(first)


def test_a_journal_of_another_version_names_both(tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").write_bytes(OTHERS["another version"])
    with pytest.raises(JournalError, match="of version 1 and this program reads version 2"):
        list(read_journal(tmp_path))


@pytest.mark.parametrize("kept", range(len(HEADER_LINE)))
def test_a_header_cut_off_by_a_kill_is_written_anew(tmp_path: Path, kept: int) -> None:
    (tmp_path / "journal.jsonl").write_bytes(HEADER_LINE[:kept])
    assert list(read_journal(tmp_path)) == []
    with JournalWriter.open(tmp_path) as journal:
        journal.write(ENTRIES[0])
    assert list(read_journal(tmp_path)) == ENTRIES[:1]


def test_a_journal_is_continued_after_its_last_whole_line(tmp_path: Path) -> None:
    path = write(tmp_path, ENTRIES)
    path.write_bytes(path.read_bytes() + b'{"type":"Ru')
    with JournalWriter.open(tmp_path) as journal:
        journal.write(ENTRIES[1])
    assert list(read_journal(path)) == [*ENTRIES, ENTRIES[1]]


def test_settings_that_this_version_does_not_know_are_named(tmp_path: Path) -> None:
    started = run_started(Settings())
    path = write(tmp_path, [started])
    assert list(read_journal(path)) == [started]
    path.write_bytes(path.read_bytes().replace(b'"effort"', b'"effrot"'))
    with pytest.raises(JournalError, match=r"Line 2 .*Unknown setting 'policy\.effrot'"):
        list(read_journal(path))


def test_a_missing_journal_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="cannot be read"):
        next(read_journal(tmp_path / "nowhere"))


def test_refuses_a_folder_that_holds_a_journal(tmp_path: Path) -> None:
    path = write(tmp_path, ENTRIES)
    with pytest.raises(JournalError, match="exists already"):
        JournalWriter.create(tmp_path)
    assert list(read_journal(path)) == ENTRIES


def test_refuses_an_unwritable_place_before_anything_is_spent(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match="cannot be written"):
        JournalWriter.create(tmp_path / "file" / "run")


class FullDisk:
    """A file that takes nothing."""

    def write(self, _data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    def flush(self) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    close = flush


def full_journal() -> JournalWriter:
    return JournalWriter(Path("runs/x/journal.jsonl"), FullDisk())  # type: ignore[arg-type]


def test_a_disk_that_fills_up_is_an_error_in_one_sentence() -> None:
    journal = full_journal()
    with pytest.raises(JournalError, match="No space left on device") as caught:
        journal.write(ENTRIES[0])
    assert "\n" not in str(caught.value)
    with pytest.raises(JournalError):
        journal.close()


def test_a_failing_close_does_not_hide_the_error_under_way() -> None:
    with pytest.raises(KeyboardInterrupt) as caught, full_journal():
        raise KeyboardInterrupt
    assert "No space left" in caught.value.__notes__[0]


def test_a_failing_close_alone_is_an_error() -> None:
    with pytest.raises(JournalError), full_journal():
        pass


def test_text_that_cannot_be_encoded_is_an_error(tmp_path: Path) -> None:
    with JournalWriter.create(tmp_path) as journal, pytest.raises(JournalError):
        journal.write(TokensArrived(at=0.0, trace=0, text="\ud800", tokens=1))


def test_a_tail_gives_what_was_added_and_waits_for_a_torn_line(tmp_path: Path) -> None:
    path = write(tmp_path, ENTRIES)
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    path.write_bytes(lines[0][:10])
    tail = JournalTail(tmp_path)
    assert tail.poll() == []
    path.write_bytes(lines[0] + lines[1] + lines[2][:10])
    assert tail.poll() == ENTRIES[:1]
    assert tail.poll() == []
    path.write_bytes(whole)
    assert tail.poll() == ENTRIES[1:]


def test_a_tail_names_the_damaged_line_and_the_missing_file(tmp_path: Path) -> None:
    path = write(tmp_path, ENTRIES)
    path.write_bytes(path.read_bytes() + b"nonsense\n")
    with pytest.raises(JournalError, match="Line 8"):
        JournalTail(path).poll()
    with pytest.raises(JournalError, match="cannot be read"):
        JournalTail(tmp_path / "nowhere").poll()


def test_a_tail_takes_a_line_longer_than_it_reads_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.journal.journal._TAIL_BYTES", 16)
    write(tmp_path, ENTRIES)
    tail = JournalTail(tmp_path)
    read: list[Event | Command] = []
    while more := tail.poll():
        read += more
    assert read == ENTRIES


@pytest.mark.parametrize("name", [JOURNAL_FILE, REPORT_FILE])
def test_a_pipe_in_place_of_a_file_of_the_run_is_not_waited_for(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    readers: dict[str, list[Callable[[], object]]] = {
        JOURNAL_FILE: [
            lambda: next(read_journal(tmp_path)),
            lambda: JournalTail(tmp_path).poll(),
        ],
        REPORT_FILE: [lambda: read_report(tmp_path / name)],
    }
    for read in readers[name]:
        with pytest.raises(JournalError, match="is no file"):
            read()
