"""The runs of this process as a source. It reads the session state; the run never waits for the screen."""

from orchestrator.core.events import UserCommandReceived
from orchestrator.journal.journal import read_journal
from orchestrator.report.view import RunView
from orchestrator.session.state import QuestionState, SessionState
from tui.sources.base import Entry, Start
from tui.state.watch import Watch

__all__ = ["Live"]


class Live:
    """The runs of this process. The current entry follows the session unless the user opened an earlier one."""

    player = None

    def __init__(self, session_state: SessionState) -> None:
        self._session_state = session_state
        self.current = 0
        self.entries = [
            Entry(each.id, each.question, started=False) for each in session_state.questions
        ]
        self._started = 0
        self._seconds = 0.0
        self._messages: list[tuple[float, str]] = []
        self.tick(0.0)

    @property
    def planned(self) -> int:
        """The number of questions of the session."""
        return len(self._session_state.questions)

    @property
    def notice(self) -> str:
        """The latest notice; at the end, how to leave."""
        if self._session_state.phase == "over":
            return "the run is over: q leaves and prints the report"
        return self._session_state.notes[-1] if self._session_state.notes else ""

    @property
    def start(self) -> Start | None:
        """The notices so far, until the first question starts."""
        if self._started or not self.entries:
            return None
        return Start(self.entries[0].question, self._seconds, tuple(self._messages))

    @property
    def closing(self) -> bool:
        """Whether the screen has to close."""
        return self._session_state.phase == "closing"

    @property
    def steerable(self) -> bool:
        """Whether the current entry is the question that is running."""
        started = self._session_state.started
        return bool(started) and self.current == len(started) - 1 and started[-1].report is None

    def open(self, index: int) -> Watch:
        """Makes a question the current one; an earlier one is read again from its journal."""
        self.current = index
        entry = self.entries[index]
        if entry.watch is None:
            entry.watch = Watch(_from_journal(self._session_state.started[index]))
        return entry.watch

    def tick(self, seconds: float) -> None:
        """Reads which questions have started and ended, and the notices before the first one."""
        self._seconds += seconds
        started = self._session_state.started
        if not started:
            new = self._session_state.notes[len(self._messages) :]
            self._messages += [(self._seconds, text) for text in new]
        for question in started[self._started :]:
            self._start_entry(question)
        # the entries behind those have not started
        for entry, question in zip(self.entries, started, strict=False):
            entry.report = question.report

    def _start_entry(self, question: QuestionState) -> None:
        follows = self.current >= self._started - 1
        if follows and self._started:
            self.entries[self._started - 1].watch = None  # `open` reads it from its journal
        entry = self.entries[self._started]
        entry.started = True
        entry.watch = Watch(question.run.view) if question.run is not None else None
        if follows:
            self.current = self._started
        self._started += 1

    def steer(self, command: UserCommandReceived) -> None:
        """Puts the command into the queue that the run loop reads."""
        run = self._session_state.started[-1].run if self.steerable else None
        if run is not None:
            run.user_commands.put_nowait(command)


def _from_journal(question: QuestionState) -> RunView:
    if question.run is not None:
        return question.run.view
    view = RunView()
    for entry in read_journal(question.folder):
        view.apply(entry)
    return view
