from pathlib import Path

import pytest

from orchestrator.core.events import UserCommandReceived
from orchestrator.errors import ConfigError, JournalError
from orchestrator.journal.run_dir import run_folders
from tui.sources.following import Following
from tui.sources.recording import Recording, demo_run

LINES = (demo_run() / "journal.jsonl").read_bytes().splitlines(keepends=True)


def write(folder: Path, lines: list[bytes]) -> None:
    folder.mkdir(exist_ok=True, parents=True)
    with (folder / "journal.jsonl").open("ab") as file:
        file.writelines(lines)


def test_following_shows_what_has_been_written_since(tmp_path: Path) -> None:
    write(tmp_path, LINES[:100])
    source = Following(tmp_path)
    watch = source.open(0)
    before = watch.view.changes
    write(tmp_path, [*LINES[100:200], LINES[200][:20]])  # the last one is torn
    source.tick(0.1)
    assert watch.view.changes > before
    write(tmp_path, [LINES[200][20:], *LINES[201:]])
    source.tick(0.1)
    assert watch.view.finished is not None
    report = source.entries[0].report
    assert report is not None
    assert report.answer == "26"
    assert source.entries[0].name == "1"
    source.tick(0.1)


def test_a_question_that_begins_becomes_the_current_one(tmp_path: Path) -> None:
    write(tmp_path / "0001-a", LINES)
    source = Following(tmp_path)
    write(tmp_path / "0002-b", LINES[:50])
    source.tick(0.1)
    assert (source.planned, source.current) == (2, 1)


def test_of_questions_side_by_side_the_first_that_runs_is_current_until_one_is_opened(
    tmp_path: Path,
) -> None:
    write(tmp_path / "0001-a", LINES[:50])
    write(tmp_path / "0003-c", LINES[:50])
    source = Following(tmp_path)
    assert source.current == 0
    opened = source.open(1)
    write(tmp_path / "0002-b", LINES[:50])
    source.tick(0.1)
    assert (source.planned, source.current) == (3, 2)
    assert source.entries[2].watch is opened
    assert [entry.report for entry in source.entries] == [None] * 3


def test_a_folder_without_a_journal_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"holds no journal\.jsonl"):
        run_folders(tmp_path)


def test_a_recording_plays_the_question_that_was_opened(tmp_path: Path) -> None:
    for name in ("0001-a", "0002-b"):
        write(tmp_path / name, LINES)
    source = Recording(tmp_path)
    assert source.player is None
    source.tick(1.0)
    watch = source.open(1)
    source.tick(1.0)
    assert watch.view.elapsed > 0
    assert source.open(1) is watch
    assert (source.planned, source.current) == (2, 1)
    assert source.entries[0].question.startswith("Tom has 26 cards")


def test_an_empty_journal_is_told_when_it_is_opened(tmp_path: Path) -> None:
    write(tmp_path, [])
    source = Recording(tmp_path)
    with pytest.raises(JournalError, match="empty journal"):
        source.open(0)


def test_only_a_live_run_is_steered(tmp_path: Path) -> None:
    write(tmp_path, LINES[:50])
    for source in (Recording(tmp_path), Following(tmp_path)):
        assert not source.steerable
        source.steer(UserCommandReceived(at=0.0, command="vote"))
        assert not source.closing
