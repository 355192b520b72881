"""Sessions of the command line inside the test process."""

from collections.abc import Callable

from orchestrator.session.display import Display, PlainLines
from orchestrator.session.output import Output
from orchestrator.session.session import Session, SessionResult
from orchestrator.session.state import SessionState

__all__ = ["run_session"]


class _Lines(PlainLines):
    def __init__(self, seen: list[SessionState] | None, *, quiet: bool) -> None:
        super().__init__(quiet=quiet)
        self._seen = seen

    async def show(self, state: SessionState) -> None:
        if self._seen is not None:
            self._seen.append(state)
        await super().show(state)


async def run_session(
    session: Session,
    screen: Callable[[PlainLines], Display] | None = None,
    *,
    quiet: bool = False,
    seen: list[SessionState] | None = None,
) -> SessionResult:
    """Runs a session as the command line does with --json, on a screen or in plain lines.

    `seen` receives the state of the session, as a display sees it.
    """
    lines = _Lines(seen, quiet=quiet)
    display = lines if screen is None else screen(lines)
    output = Output(display, json=True, quiet=quiet, several=len(session.questions) > 1)
    return await session.run(output, display)
