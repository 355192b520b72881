from datetime import datetime
from pathlib import Path

import pytest

from orchestrator.errors import JournalError
from orchestrator.journal.run_dir import new_run_dir, remove_unstarted, write_run_file


def test_a_run_folder_is_named_by_time_and_id(tmp_path: Path) -> None:
    run_dir = new_run_dir(tmp_path / "runs", datetime(2026, 3, 4, 5, 6, 7), "ab12")
    assert run_dir == tmp_path / "runs" / "2026-03-04T05-06-07-ab12"
    assert run_dir.is_dir()
    with pytest.raises(JournalError, match="exists already"):
        new_run_dir(tmp_path / "runs", datetime(2026, 3, 4, 5, 6, 7), "ab12")


def test_a_run_file_is_written_whole(tmp_path: Path) -> None:
    write_run_file(tmp_path, "report.json", "{}\n")
    write_run_file(tmp_path, "report.json", "{1}\n")
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]
    assert (tmp_path / "report.json").read_text() == "{1}\n"
    with pytest.raises(JournalError):
        write_run_file(tmp_path / "gone", "report.json", "{}")


def test_a_run_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match="cannot be written"):
        new_run_dir(tmp_path / "file", datetime(2026, 1, 2), "x")


def test_the_folder_of_a_run_that_did_not_start_stays_if_a_log_is_in_it(tmp_path: Path) -> None:
    with_log, without = tmp_path / "with", tmp_path / "without"
    for folder in (with_log, without):
        folder.mkdir()
        (folder / "settings.yaml").touch()
        (folder / "questions.jsonl").touch()
    (with_log / "reasoner.log").touch()
    remove_unstarted(with_log)
    remove_unstarted(without)
    assert list(tmp_path.iterdir()) == [with_log]
    assert len(list(with_log.iterdir())) == 3
