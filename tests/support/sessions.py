"""Sessions of the command line inside the test process."""

from collections.abc import Callable

from orchestrator.session.display import Display, PlainLines
from orchestrator.session.output import Output
from orchestrator.session.session import Session, SessionResult

__all__ = ["run_session"]


async def run_session(
    session: Session,
    screen: Callable[[PlainLines], Display] | None = None,
    *,
    quiet: bool = False,
) -> SessionResult:
    """Runs a session as the command line does with --json, on a screen or in plain lines."""
    lines = PlainLines(quiet=quiet)
    display = lines if screen is None else screen(lines)
    output = Output(display, json=True, quiet=quiet, several=len(session.questions) > 1)
    return await session.run(output, display)
