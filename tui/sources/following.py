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
        self._tails: list[tuple[JournalTail, Watch]] = []
        self.current = 0
        self.entries: list[Entry] = []
        run_folders(run)
        self.tick(0.0)

    @property
    def planned(self) -> int:
        """The number of questions started so far."""
        return len(self.entries)

    def open(self, index: int) -> Watch:
        """Makes a question the current one and returns its run as far as it is written."""
        self.current = index
        return self._tails[index][1]

    def tick(self, seconds: float) -> None:
        """Reads what was written since the last call; a new question becomes the current one."""
        folders = run_folders(self._run)
        for folder in folders[len(self._tails) :]:
            watch = Watch()
            self._tails.append((JournalTail(folder), watch))
            self.entries.append(Entry(folder.name, "", None, watch))
            self.current = len(self.entries) - 1
        for entry, (tail, watch) in zip(self.entries, self._tails, strict=True):
            if entry.report is None:
                _read(entry, tail, watch)

    def steer(self, command: UserCommandReceived) -> None:
        """A run of another process cannot be steered."""


def _read(entry: Entry, tail: JournalTail, watch: Watch) -> None:
    for item in tail.poll():
        watch.view.apply(item)
    if not entry.question and watch.view.run is not None:
        entry.name, entry.question = watch.view.run.question_id, watch.view.run.question
    if watch.view.finished is not None:
        entry.report = build_report(watch.view, run_dir="")
