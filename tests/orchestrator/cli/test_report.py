"""`deepprune-report` on the recorded run that comes with the package."""

from pathlib import Path

import pytest

from orchestrator.cli.report import main

DEMO = Path(__file__).parents[3] / "nano" / "demo-run"


def test_a_run_becomes_a_file_named_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([str(DEMO)]) == 0
    assert capsys.readouterr().out == "demo-run.html\n"
    page = (tmp_path / "demo-run.html").read_text(encoding="utf-8")
    assert "Tom has 26 cards" in page
    assert len(page) < 200_000


def test_the_page_goes_to_stdout_if_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(DEMO), "-o", "-", "--max-text", "50"]) == 0
    assert capsys.readouterr().out.startswith("<!doctype html>")


def test_several_questions_are_on_one_page(tmp_path: Path) -> None:
    journal = (DEMO / "journal.jsonl").read_bytes()
    for name in ("0001-a", "0002-b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "journal.jsonl").write_bytes(journal)
    assert main([str(tmp_path), "--output", str(tmp_path / "page.html")]) == 0
    assert "2 of 2" in (tmp_path / "page.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["."], "holds no journal.jsonl"),
        ([str(DEMO), "-o", "no/such/folder/page.html"], "give another file with --output"),
    ],
)
def test_mistakes_are_told_in_a_sentence(
    words: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    assert message in capsys.readouterr().err


def test_a_journal_without_a_line_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    header = (DEMO / "journal.jsonl").read_bytes().splitlines(keepends=True)[0]
    (tmp_path / "journal.jsonl").write_bytes(header)
    assert main([str(tmp_path)]) == 1
    assert "holds an empty journal" in capsys.readouterr().err
