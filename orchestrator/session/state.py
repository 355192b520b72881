"""What an invocation is doing: the questions begun, their views, and the way in for the user's acts.

The rule: the loop writes, displays read. A display never calls the engine; it leaves acts in a queue.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.core.events import UserCommandReceived
from orchestrator.interrupts import Interrupts
from orchestrator.questions import Question
from orchestrator.report.report import Report
from orchestrator.report.view import RunView

__all__ = ["QuestionRun", "SessionState", "Show"]


@dataclass(slots=True, kw_only=True)
class QuestionRun:
    """One question that was begun; `view` is None for those that are over, whose journal tells the rest."""

    question: Question
    folder: Path
    view: RunView | None
    user_commands: asyncio.Queue[UserCommandReceived] = field(default_factory=asyncio.Queue)
    report: Report | None = None


class SessionState:
    """The questions of an invocation, those begun so far, and what was said meanwhile."""

    def __init__(self, questions: Sequence[Question]) -> None:
        self.questions = questions
        self.runs: list[QuestionRun] = []
        self.notices: list[str] = []
        self.over = False
        """Nothing more will happen; a screen may stay as long as the user looks at it."""
        self.closing = False
        """A screen has to go."""

    def begin(self, question: Question, folder: Path, view: RunView | None) -> QuestionRun:
        """The run of a further question; the views of earlier ones are let go of, they may be large."""
        if self.runs:
            self.runs[-1].view = None
        run = QuestionRun(question=question, folder=folder, view=view)
        self.runs.append(run)
        return run


Show = Callable[[SessionState, Interrupts], Awaitable[None]]
"""Shows a board on the whole terminal until the user leaves or `closing` is set."""
