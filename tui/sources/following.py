"""A run that another process writes, as a source: its journals are read as they grow."""

from pathlib import Path

from orchestrator.core.events import UserCommandReceived
from orchestrator.journal.journal import JournalTail
from orchestrator.journal.run_dir import run_folders
from orchestrator.report.report import build_report
from tui.sources.base import Entry
from tui.state.watch import Watch

__all__ = ["Following"]


class Following:
    """A run that another process writes."""

    steerable = False
    closing = False
    notice = ""
    start = None
    player = None

    def __init__(self, run: Path) -> None:
        self._run = run
        self._tails: dict[Path, tuple[Entry, JournalTail, Watch]] = {}
        self._chosen = False
        self.current = 0
        self.entries: list[Entry] = []
        run_folders(run)
        self.tick(0.0)

    @property
    def planned(self) -> int:
        """The number of questions started so far."""
        return len(self.entries)

    @property
    def listed(self) -> bool:
        """Whether there are several questions."""
        return self.planned > 1

    def open(self, index: int) -> Watch:
        """Makes a question the current one and returns its run as far as it is written."""
        self._chosen = self._chosen or index != self.current
        self.current = index
        watch = self.entries[index].watch
        return Watch() if watch is None else watch

    def tick(self, seconds: float) -> None:
        """Reads what was written since the last call; the first question that runs is the current one, unless one was opened."""
        shown = self.entries[self.current] if self.entries else None
        folders = run_folders(self._run)
        for folder in folders:
            if folder not in self._tails:
                watch = Watch()
                entry = Entry(folder.name, "", None, watch)
                self._tails[folder] = entry, JournalTail(folder), watch
        self.entries = [self._tails[folder][0] for folder in folders]
        for entry, tail, watch in self._tails.values():
            if entry.report is None:
                _read(entry, tail, watch)
        running = [number for number, entry in enumerate(self.entries) if entry.report is None]
        if shown is not None and (self._chosen or not running):
            self.current = self.entries.index(shown)
        elif self.entries:
            self.current = running[0] if running else len(self.entries) - 1

    def steer(self, command: UserCommandReceived) -> None:
        """A run of another process cannot be steered."""


def _read(entry: Entry, tail: JournalTail, watch: Watch) -> None:
    for item in tail.poll():
        watch.view.apply(item)
    if not entry.question and watch.view.run is not None:
        entry.name, entry.question = watch.view.run.question_id, watch.view.run.question
    if watch.view.finished is not None:
        entry.report = build_report(watch.view, run_dir="")
