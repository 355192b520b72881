"""The runs of this process as a source. It reads the session state; the run never waits for the screen."""

from orchestrator.core.events import UserCommandReceived
from orchestrator.journal.journal import read_journal
from orchestrator.report.view import RunView
from orchestrator.session.state import QuestionState, SessionState
from tui.sources.base import Entry, Start
from tui.state.watch import Watch

__all__ = ["Live"]


class Live:
    """The runs of this process, several side by side.

    The current entry is the first question that runs, unless the user opened one.
    """

    player = None

    def __init__(self, session_state: SessionState) -> None:
        self._session_state = session_state
        self.current = 0
        self.entries = [
            Entry(each.id, each.question, started=False) for each in session_state.questions
        ]
        self._states: dict[int, QuestionState] = {}
        self._chosen = False
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
        if self._states or not self.entries:
            return None
        return Start(self.entries[0].question, self._seconds, tuple(self._messages))

    @property
    def closing(self) -> bool:
        """Whether the screen has to close."""
        return self._session_state.phase == "closing"

    @property
    def steerable(self) -> bool:
        """Whether the current entry is a question that runs."""
        state = self._states.get(self.current)
        return state is not None and state.run is not None and state.report is None

    @property
    def listed(self) -> bool:
        """Whether there are several questions."""
        return self.planned > 1

    def open(self, index: int) -> Watch:
        """Makes a question the current one; one that is over is read again from its journal."""
        self._chosen = self._chosen or index != self.current
        self.current = index
        entry = self.entries[index]
        if entry.watch is None:
            entry.watch = Watch(_from_journal(self._states[index]))
        return entry.watch

    def tick(self, seconds: float) -> None:
        """Reads which questions have started and ended, and the notices before the first one."""
        self._seconds += seconds
        started = self._session_state.started
        if not started:
            new = self._session_state.notes[len(self._messages) :]
            self._messages += [(self._seconds, text) for text in new]
        for question in started[len(self._states) :]:
            self._start_entry(question)
        for number, question in self._states.items():
            self._update(number, question)
        running = [question.number for question in self._session_state.running]
        if running and not self._chosen:
            self.current = min(running)

    def _start_entry(self, question: QuestionState) -> None:
        self._states[question.number] = question
        entry = self.entries[question.number]
        entry.started = True
        entry.watch = Watch(question.run.view) if question.run is not None else None
        if not self._chosen:
            self.current = question.number

    def _update(self, number: int, question: QuestionState) -> None:
        entry = self.entries[number]
        entry.report = question.report
        if question.run is None and number != self.current:
            entry.watch = None  # `open` reads it from its journal

    def steer(self, command: UserCommandReceived) -> None:
        """Puts the command into the queue that the run loop reads."""
        state = self._states.get(self.current)
        run = state.run if state is not None and self.steerable else None
        if run is not None:
            run.user_commands.put_nowait(command)


def _from_journal(question: QuestionState) -> RunView:
    if question.run is not None:
        return question.run.view
    view = RunView()
    for entry in read_journal(question.folder):
        view.apply(entry)
    return view
