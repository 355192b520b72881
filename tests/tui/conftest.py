"""Recorded runs for the tests of the TUI."""

from pathlib import Path

import pytest

from orchestrator.core.commands import Command
from orchestrator.core.events import Event
from orchestrator.journal.journal import read_journal
from tui.sources.recording import Recording, demo_run


@pytest.fixture(scope="session")
def demo_entries() -> list[Event | Command]:
    """The journal of the recorded run that is part of the package."""
    return list(read_journal(demo_run()))


@pytest.fixture
def questions(tmp_path: Path) -> Recording:
    """A recorded run of three questions."""
    for number in range(3):
        folder = tmp_path / f"000{number}-q"
        folder.mkdir()
        for name in ("journal.jsonl", "report.json"):
            (folder / name).write_bytes((demo_run() / name).read_bytes())
    recording = Recording(tmp_path, playing=False)
    recording.open(0)
    return recording
