"""`deepprune-orchestrate` with its screen: the entry point that combines the orchestrator and the TUI.

The orchestrator does not know its display; it is passed one here. Textual is imported only when a screen is shown.
"""

import sys
from collections.abc import Sequence

from orchestrator.cli import main as cli
from orchestrator.interrupts import Interrupts
from orchestrator.session.state import SessionState

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """The command line of `orchestrator.cli.main`, with the TUI on a terminal."""
    return cli.main(argv, show=_show)


async def _show(session_state: SessionState, interrupts: Interrupts) -> None:
    """Shows the session until the user leaves the screen or the session closes it."""
    from tui.app import DeepPruneApp
    from tui.sources.live import Live

    def interrupt() -> None:
        if session_state.over:
            app.exit()  # nothing is left to end but the screen
        else:
            interrupts.interrupt()

    app = DeepPruneApp(Live(session_state), interrupt=interrupt)
    interrupts.before_leaving = app.restore_terminal
    await app.run_async()
    interrupts.before_leaving = lambda: None


if __name__ == "__main__":
    sys.exit(main())
