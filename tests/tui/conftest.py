"""The recorded run that ships with the package, and made-up runs, for tests of what is shown."""

from pathlib import Path

import pytest

from orchestrator.journal.journal import read_journal
from tui.drawing.theme import DARK
from tui.panels.base import Frame
from tui.state.watch import Watch

DEMO = Path(__file__).parents[2] / "nano" / "demo-run"


@pytest.fixture(scope="session")
def demo_entries():
    return list(read_journal(DEMO))


@pytest.fixture
def frame():
    """`frame(view, width, height)` is a frame in the dark palette."""

    def make(view, width=60, height=20):
        watch = Watch(view)
        watch.update()
        return Frame(watch, DARK, width, height)

    return make
