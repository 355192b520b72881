"""The runs of this process as a source. It reads the session state; the run never waits for the screen."""

from orchestrator.core.events import UserCommandReceived
from orchestrator.journal.journal import read_journal
from orchestrator.report.view import RunView
from orchestrator.session.state import QuestionRun, SessionState
from tui.sources.base import Entry, Start
from tui.state.watch import Watch

__all__ = ["Live"]


class Live:
    """The runs of this process as a source; it moves on with them unless the user looks at an earlier one."""

    player = None

    def __init__(self, session_state: SessionState) -> None:
        self._session_state = session_state
        self.current = 0
        self.entries = [
            Entry(each.id, each.question, begun=False) for each in session_state.questions
        ]
        self._begun = 0
        self._seconds = 0.0
        self._said: list[tuple[float, str]] = []
        self.tick(0.0)

    @property
    def planned(self) -> int:
        """The questions asked for."""
        return len(self._session_state.questions)

    @property
    def notice(self) -> str:
        """What was said last; at the end how to leave."""
        if self._session_state.over:
            return "the run is over: q leaves and prints the report"
        return self._session_state.notices[-1] if self._session_state.notices else ""

    @property
    def start(self) -> Start | None:
        """What was said so far, as long as no question has begun."""
        if self._begun or not self.entries:
            return None
        return Start(self.entries[0].question, self._seconds, tuple(self._said))

    @property
    def closing(self) -> bool:
        """The screen has to go."""
        return self._session_state.closing

    @property
    def steerable(self) -> bool:
        """Only the question that goes on can be steered."""
        runs = self._session_state.runs
        return bool(runs) and self.current == len(runs) - 1 and runs[-1].report is None

    def open(self, index: int) -> Watch:
        """The run of a question; an earlier one is read again from its journal."""
        self.current = index
        entry = self.entries[index]
        if entry.watch is None:
            entry.watch = Watch(_from_journal(self._session_state.runs[index]))
        return entry.watch

    def tick(self, seconds: float) -> None:
        """Notes which questions have begun and ended, and what was said before the first."""
        self._seconds += seconds
        runs = self._session_state.runs
        if not runs:
            new = self._session_state.notices[len(self._said) :]
            self._said += [(self._seconds, text) for text in new]
        for run in runs[self._begun :]:
            self._begin(run)
        for entry, run in zip(self.entries, runs, strict=False):  # the rest have not begun
            entry.report = run.report

    def _begin(self, run: QuestionRun) -> None:
        follows = self.current >= self._begun - 1
        if follows and self._begun:
            self.entries[self._begun - 1].watch = None  # its journal has it, should anybody ask
        entry = self.entries[self._begun]
        entry.begun = True
        entry.watch = Watch(run.view) if run.view is not None else None
        if follows:
            self.current = self._begun
        self._begun += 1

    def steer(self, act: UserCommandReceived) -> None:
        """Leaves the act where the loop takes it."""
        if self.steerable:
            self._session_state.runs[-1].user_commands.put_nowait(act)


def _from_journal(run: QuestionRun) -> RunView:
    if run.view is not None:
        return run.view
    view = RunView()
    for entry in read_journal(run.folder):
        view.apply(entry)
    return view
