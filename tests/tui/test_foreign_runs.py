"""Runs that cannot be read, opened by a user in the screen."""

from pathlib import Path

import pytest

from orchestrator.errors import JournalError
from tests.support.screens import opened
from tui.screens.live import LiveScreen
from tui.sources.following import Following
from tui.sources.recording import Recording, demo_run


async def test_a_run_that_becomes_unreadable_while_it_is_followed_ends_the_screen(
    tmp_path: Path,
) -> None:
    journal = tmp_path / "journal.jsonl"
    journal.write_bytes((demo_run() / "journal.jsonl").read_bytes()[:20_000])
    async with opened(Following(tmp_path)) as app:
        await app.text()
        with journal.open("ab") as file:
            file.write(b"\nnonsense\n")
        await app.until(lambda: app.app.failure)
    assert isinstance(app.app.failure, JournalError)
    assert "is not a journal entry" in str(app.app.failure)


@pytest.mark.slow  # draws whole screens
async def test_a_question_that_cannot_be_read_is_said_and_the_others_stay(
    questions: Recording, tmp_path: Path
) -> None:
    (tmp_path / "0001-q" / "journal.jsonl").write_bytes(b"nonsense [red]\n")
    async with opened(questions) as app:
        await app.press("down", "enter")
        await app.until(lambda: app.notices)
        assert "does not begin with the header of a journal" in app.notices[0]
        await app.press("up", "enter")
        await app.until(lambda: isinstance(app.uppermost, LiveScreen))
    assert questions.current == 0
