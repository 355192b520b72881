"""The live display: the app in the run's own event loop, reading the board ten times a second.

The rule: the run does not wait for the screen, and outlives it.
"""

from orchestrator.board import Board, QuestionRun
from orchestrator.core.facts import UserActed
from orchestrator.interrupts import Interrupts
from orchestrator.journal import read_journal
from orchestrator.view import RunView
from tui.app import DeepPruneApp
from tui.sources import Entry
from tui.watch import Watch

__all__ = ["Live", "show"]


async def show(board: Board, interrupts: Interrupts) -> None:
    """Shows the board until the user leaves the screen or the board is closing."""
    app = DeepPruneApp(Live(board), interrupt=lambda: _interrupt(app, board, interrupts))
    interrupts.before_leaving = app.give_terminal_back
    await app.run_async()
    interrupts.before_leaving = lambda: None


def _interrupt(app: DeepPruneApp, board: Board, interrupts: Interrupts) -> None:
    """Ctrl-C: ends the run as headless does; after its end it only leaves the screen."""
    if board.over:
        app.exit()
    else:
        interrupts.interrupt()


class Live:
    """The runs of this process as a source; it moves on with them unless the user looks at an earlier one."""

    player = None

    def __init__(self, board: Board) -> None:
        self._board = board
        self.current = 0
        self.entries: list[Entry] = []
        self.tick(0.0)

    @property
    def planned(self) -> int:
        """The questions asked for."""
        return len(self._board.questions)

    @property
    def notice(self) -> str:
        """What was said last; at the end how to leave."""
        if self._board.over:
            return "the run is over: q leaves and prints the report"
        return self._board.notices[-1] if self._board.notices else ""

    @property
    def closing(self) -> bool:
        """The screen has to go."""
        return self._board.closing

    @property
    def steerable(self) -> bool:
        """Only the question that goes on can be steered."""
        runs = self._board.runs
        return bool(runs) and self.current == len(runs) - 1 and runs[-1].report is None

    def open(self, index: int) -> Watch:
        """The run of a question; an earlier one is read again from its journal."""
        self.current = index
        entry = self.entries[index]
        if entry.watch is None:
            entry.watch = Watch(_from_journal(self._board.runs[index]))
        return entry.watch

    def tick(self, seconds: float) -> None:
        """Notes which questions have begun and ended."""
        runs = self._board.runs
        for run in runs[len(self.entries) :]:
            follows = self.current >= len(self.entries) - 1
            if follows and self.entries:
                self.entries[-1].watch = None  # its journal has it, should anybody ask
            watch = Watch(run.view) if run.view is not None else None
            self.entries.append(Entry(run.question.id, run.question.question, None, watch))
            if follows:
                self.current = len(self.entries) - 1
        for entry, run in zip(self.entries, runs, strict=True):
            entry.report = run.report

    def steer(self, act: UserActed) -> None:
        """Leaves the act where the loop takes it."""
        if self.steerable:
            self._board.runs[-1].acts.put_nowait(act)


def _from_journal(run: QuestionRun) -> RunView:
    if run.view is not None:
        return run.view
    view = RunView()
    for entry in read_journal(run.folder):
        view.apply(entry)
    return view
