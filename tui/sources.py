"""Where runs come from: a recording, a journal that is still being written, or this very process.

The rule: a source is asked (`tick`) and never calls; the screens do not know which one they show.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from orchestrator.core.facts import UserActed
from orchestrator.errors import ConfigError, JournalError
from orchestrator.journal import JOURNAL_FILE, REPORT_FILE, JournalTail, read_journal
from orchestrator.report import build_report, read_report
from tui.player import Player
from tui.watch import Watch

__all__ = ["Entry", "Following", "Recording", "Source", "Start", "run_folders"]


@dataclass(slots=True)
class Entry:
    """One question of an invocation; `report` and `watch` are None as long as there is none."""

    name: str
    question: str
    report: dict[str, Any] | None = None
    watch: Watch | None = None
    begun: bool = True


@dataclass(frozen=True, slots=True)
class Start:
    """What there is to tell before the first question has begun; times are in seconds since the start."""

    question: str
    seconds: float
    said: tuple[tuple[float, str], ...]
    """What was said, and when."""


class Source(Protocol):
    """What the app shows."""

    entries: list[Entry]
    current: int
    """The entry that goes on now, or that was opened last."""

    @property
    def notice(self) -> str:
        """What the whole invocation has to say, e.g. that servers are being started; empty: nothing."""

    @property
    def start(self) -> Start | None:
        """How far the start is, e.g. of servers; None once the first question has begun."""

    @property
    def closing(self) -> bool:
        """Whether the screen has to go."""

    @property
    def planned(self) -> int:
        """Questions in all, also those that have no entry yet."""

    @property
    def player(self) -> Player | None:
        """What moves the current entry, if it is a recording."""

    @property
    def steerable(self) -> bool:
        """Whether acts have an effect."""

    def open(self, index: int) -> Watch:
        """The run of an entry, which becomes the current one."""

    def tick(self, seconds: float) -> None:
        """Takes in what has happened in the last `seconds`."""

    def steer(self, act: UserActed) -> None:
        """Passes an act of the user on; only if `steerable`."""


def run_folders(run: Path) -> list[Path]:
    """The folders of the questions of a run, in order: the run's own, or one for each question.

    Raises:
        ConfigError: there is no journal.
    """
    folders = [run] if (run / JOURNAL_FILE).is_file() else []
    folders += sorted(path.parent for path in run.glob(f"[!.]*/{JOURNAL_FILE}"))
    if not folders:
        raise ConfigError(f"{run} holds no {JOURNAL_FILE}: give the folder of a run.")
    return folders


class Recording:
    """A run that is over, or a part of one: plays each question from its journal."""

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
        """The questions recorded."""
        return len(self.entries)

    @property
    def player(self) -> Player | None:
        """The current question's player."""
        return self._players.get(self.current)

    def open(self, index: int) -> Watch:
        """Reads the journal at the first call.

        Raises:
            JournalError: it cannot be read.
        """
        self.current = index
        player = self._players.get(index)
        if player is None:
            entries = list(read_journal(self._folders[index]))
            if not entries:
                raise JournalError(
                    f"{self._folders[index]} holds an empty journal: nothing to see."
                )
            player = self._players[index] = Player(entries, playing=self._playing)
            player.seek(0.0)
        self.entries[index].watch = player.watch
        return player.watch

    def tick(self, seconds: float) -> None:
        """Plays on."""
        if self.player is not None:
            self.player.advance(seconds)

    def steer(self, act: UserActed) -> None:
        """A recording cannot be steered."""


class Following:
    """A run that another process writes: shows what its journals say, as they grow."""

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
        """The questions begun so far."""
        return len(self.entries)

    def open(self, index: int) -> Watch:
        """The question's run as far as it is written."""
        self.current = index
        return self._tails[index][1]

    def tick(self, seconds: float) -> None:
        """Reads what was written since; a new question becomes the current one."""
        folders = run_folders(self._run)
        for folder in folders[len(self._tails) :]:
            watch = Watch()
            self._tails.append((JournalTail(folder), watch))
            self.entries.append(Entry(folder.name, "", None, watch))
            self.current = len(self.entries) - 1
        for entry, (tail, watch) in zip(self.entries, self._tails, strict=True):
            if entry.report is None:
                _take_in(entry, tail, watch)

    def steer(self, act: UserActed) -> None:
        """Another process runs it: it cannot be steered from here."""


def _take_in(entry: Entry, tail: JournalTail, watch: Watch) -> None:
    for item in tail.poll():
        watch.view.apply(item)
    if not entry.question and watch.view.run is not None:
        entry.name, entry.question = watch.view.run.question_id, watch.view.run.question
    if watch.view.finished is not None:
        entry.report = build_report(watch.view, run_dir="")


def _recorded(folder: Path) -> Entry:
    """The entry of a question from its first line and its report."""
    started = next(read_journal(folder), None)
    return Entry(
        name=getattr(started, "question_id", folder.name),
        question=getattr(started, "question", ""),
        report=read_report(folder / REPORT_FILE),
    )
