"""A recorded run as a source: each question is played from its journal."""

from pathlib import Path

from orchestrator.core.events import UserCommandReceived
from orchestrator.errors import ConfigError, JournalError
from orchestrator.journal.journal import read_journal
from orchestrator.journal.run_dir import REPORT_FILE, run_folders
from orchestrator.report.report import read_report
from tui.sources.base import Entry
from tui.sources.player import Player
from tui.state.watch import Watch

__all__ = ["Recording", "auto_run", "demo_run"]


def demo_run() -> Path:
    """The folder of the recorded run under the paper's policy that is part of the package.

    Raises:
        ConfigError: it is not installed.
    """
    return _packaged("demo-run")


def auto_run() -> Path:
    """The folder of the recorded run under `auto` that is part of the package.

    Raises:
        ConfigError: it is not installed.
    """
    return _packaged("auto-run")


def _packaged(name: str) -> Path:
    folder = Path(__file__).parents[2] / "nano" / name
    if not folder.is_dir():
        raise ConfigError(
            "The recorded run is not installed; reinstall deepprune from a complete checkout or wheel."
        )
    return folder


class Recording:
    """A recorded run, complete or not: plays each question from its journal."""

    steerable = False
    closing = False
    notice = ""
    start = None

    def __init__(self, run: Path, *, playing: bool = True) -> None:
        self._folders = run_folders(run)
        self._playing = playing
        self._players: dict[int, Player] = {}
        self.current = 0
        self.entries = [_recorded(folder) for folder in self._folders]

    @property
    def planned(self) -> int:
        """The number of recorded questions."""
        return len(self.entries)

    @property
    def player(self) -> Player | None:
        """The current question's player."""
        return self._players.get(self.current)

    @property
    def listed(self) -> bool:
        """Whether there are several questions."""
        return self.planned > 1

    def open(self, index: int) -> Watch:
        """Makes a question the current one; its journal is read on the first call.

        Raises:
            JournalError: it cannot be read.
        """
        player = self._players.get(index)
        if player is None:
            entries = list(read_journal(self._folders[index]))
            if not entries:
                raise JournalError(
                    f"{self._folders[index]} holds an empty journal: give another run."
                )
            player = self._players[index] = Player(entries, playing=self._playing)
            player.seek(0.0)
        self.current = index
        self.entries[index].watch = player.watch
        return player.watch

    def tick(self, seconds: float) -> None:
        """Plays the current question."""
        if self.player is not None:
            self.player.advance(seconds)

    def steer(self, command: UserCommandReceived) -> None:
        """A recording cannot be steered."""


def _recorded(folder: Path) -> Entry:
    """The entry of a question, from the first line of its journal and its report."""
    started = next(read_journal(folder), None)
    return Entry(
        name=getattr(started, "question_id", folder.name),
        question=getattr(started, "question", ""),
        report=read_report(folder / REPORT_FILE),
    )
