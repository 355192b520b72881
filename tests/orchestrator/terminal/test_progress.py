"""Progress where nobody looks at a terminal: lines for the log."""

import pytest

from orchestrator.terminal.progress import progress_bar


def test_a_log_gets_a_line_a_minute_with_the_time_to_go(capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0
    with progress_bar(3_000, "questions", clock=lambda: now) as advance:
        for _ in range(240):
            now += 1.0
            advance()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4
    assert lines[-1] == "240 of 3,000 questions, 8 %, 0:46:00 to go"


def test_what_is_short_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar(5) as advance:
        for _ in range(5):
            advance()
    assert capsys.readouterr().err == ""


def test_what_was_done_before_does_not_make_the_rest_look_quick(
    capsys: pytest.CaptureFixture[str],
) -> None:
    now = 0.0
    with progress_bar(3_000, "questions", done=2_000, clock=lambda: now) as advance:
        for _ in range(60):
            now += 1.0
            advance()
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "2,060 of 3,000 questions, 69 %, 0:15:40 to go"
