"""How far the scoring has come: a bar on a terminal, lines elsewhere, and nothing on stdout."""

import pytest

from judge_server.evaluation.scoring import shown_progress


def test_a_terminal_gets_a_bar(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    with shown_progress("words: 9 [pairs]") as advance:
        advance(1.0)
    out, err = capsys.readouterr()
    assert out == ""
    assert "words: 9 [pairs]" in err
    assert "100%" in err


def test_a_file_gets_a_line_when_time_has_passed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("judge_server.evaluation.scoring.LINE_SECONDS", 0.0)
    with shown_progress("words") as advance:
        advance(0.25)
    assert capsys.readouterr() == ("", "words: 25%\n")


def test_a_file_gets_no_line_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    with shown_progress("words") as advance:
        advance(0.25)
    assert capsys.readouterr() == ("", "")
