"""Where runs come from: a recording, a journal that is still being written, or this very process.

The rule: a source is asked (`tick`) and never calls; the screens do not know which one they show.

A recorded run played again: any speed, any moment.

The rule: what is shown at a moment is the fold of all entries up to it, and nothing else. Going back folds
from the start, which takes a second for some half a million entries.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, Protocol

from orchestrator.core.events import Command, Event, UserCommandReceived
from orchestrator.errors import ConfigError, JournalError
from orchestrator.journal.journal import JOURNAL_FILE, REPORT_FILE, JournalTail, read_journal
from orchestrator.report.report import build_report, read_report
from orchestrator.report.view import RunView
from tui.state.watch import Watch

__all__ = [
    "SPEEDS",
    "Entry",
    "Following",
    "Player",
    "Recording",
    "Source",
    "Start",
    "run_folders",
]


SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)


class Player:
    """Moves `watch` through the entries of a journal; times are seconds of the run."""

    def __init__(self, entries: Sequence[Event | Command], *, playing: bool = True) -> None:
        self.watch = Watch()
        self.playing = playing
        self.speed = 1.0
        self.now = 0.0
        self._entries = entries
        # an order has no time of its own: it belongs to the event before it
        times = (getattr(entry, "at", 0.0) for entry in entries)
        self._times = list(accumulate(times, max))
        self._done = 0

    @property
    def length(self) -> float:
        """When the last entry was written."""
        return self._times[-1] if self._times else 0.0

    @property
    def share(self) -> float:
        """How much has been played, 0..1."""
        return self.now / self.length if self.length else 1.0

    def advance(self, seconds: float) -> None:
        """Lets time pass, if it is playing."""
        if self.playing:
            self._move_to(self.now + seconds * self.speed)
            if self.now >= self.length:
                self.playing = False

    def seek(self, moment: float) -> None:
        """Jumps to a moment, which is brought into the run's length."""
        self._move_to(moment)
        self.watch.forget_figures()

    def step(self, direction: int) -> None:
        """To the next (1) or the previous (-1) moment at which anything happened, and stops there."""
        self.playing = False
        if direction < 0:
            index = bisect_left(self._times, self.now) - 1
        else:
            index = bisect_right(self._times, self.now)
        if index < len(self._times):
            self.seek(self._times[index] if index >= 0 else 0.0)

    def toggle(self) -> None:
        """Plays or pauses; at the end it plays from the start."""
        if not self.playing and self.now >= self.length:
            self.seek(0.0)
        self.playing = not self.playing

    def change_speed(self, direction: int) -> None:
        """The next faster (1) or slower (-1) speed."""
        index = SPEEDS.index(self.speed) + direction
        self.speed = SPEEDS[min(len(SPEEDS) - 1, max(0, index))]

    def _move_to(self, moment: float) -> None:
        self.now = max(0.0, min(self.length, moment))
        target = bisect_right(self._times, self.now)
        if target < self._done:
            self.watch.restart(RunView())
            self._done = 0
        view = self.watch.view
        for index in range(self._done, target):
            view.apply(self._entries[index])
        self._done = target


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

    def steer(self, act: UserCommandReceived) -> None:
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

    def steer(self, act: UserCommandReceived) -> None:
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

    def steer(self, act: UserCommandReceived) -> None:
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
