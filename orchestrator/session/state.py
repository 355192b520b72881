"""What a session is doing: the questions started, what was noted, and how a display acts on it.

The session writes, displays read. A display never calls the engine: it puts commands into a queue, or calls
`interrupt`.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from orchestrator.questions import Question
from orchestrator.report.report import Report
from orchestrator.runtime.question_run import QuestionRun

__all__ = ["Phase", "QuestionState", "SessionState"]

Phase = Literal["running", "over", "closing"]
"""`over`: nothing more will happen, a screen may stay while the user looks at it. `closing`: a screen has to leave."""


@dataclass(slots=True, kw_only=True)
class QuestionState:
    """A question that was started. `run` is None once it is over and another one has started; its journal holds the rest.

    `number` is its place among the questions, from 0.
    """

    question: Question
    folder: Path
    number: int = 0
    run: QuestionRun | None = None
    report: Report | None = None


def _do_nothing(text: str = "") -> None:
    pass


class SessionState:
    """The questions of a session, those started so far, and its notes.

    Args:
        questions: all that are asked, in order.
        announce: receives each note as well.
    """

    def __init__(
        self, questions: Sequence[Question], announce: Callable[[str], None] = _do_nothing
    ) -> None:
        self.questions = questions
        self.started: list[QuestionState] = []
        """In the order in which they started; after `--resume`, those that were finished before come first."""
        self.notes: list[str] = []
        self.phase: Phase = "running"
        self.interrupt: Callable[[], None] = _do_nothing
        """What Ctrl-C does, for a display that receives it as a key."""
        self._announce = announce
        self._over = asyncio.Event()

    def note(self, text: str) -> None:
        """Adds a sentence for the user."""
        self.notes.append(text)
        self._announce(text)

    def start(
        self,
        question: Question,
        folder: Path,
        *,
        number: int | None = None,
        run: QuestionRun | None = None,
        report: Report | None = None,
    ) -> QuestionState:
        """Adds a question, with its run or, if it was finished before, its report.

        The runs of questions that are over are dropped, because their views may be large.
        """
        for each in self.started:
            if each.report is not None:
                each.run = None
        place = len(self.started) if number is None else number
        state = QuestionState(
            question=question, folder=folder, number=place, run=run, report=report
        )
        self.started.append(state)
        return state

    @property
    def running(self) -> list[QuestionState]:
        """The questions that run now."""
        return [each for each in self.started if each.run is not None and each.report is None]

    def end(self, phase: Literal["over", "closing"]) -> None:
        """Says that no question runs any more."""
        self.phase = phase
        self._over.set()

    async def pause(self, seconds: float) -> None:
        """Waits for so long, or until no question runs any more."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._over.wait(), seconds)
