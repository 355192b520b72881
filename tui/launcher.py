"""`deepprune-orchestrate` with its screen: the one place that puts the orchestrator and the TUI together.

The rule: the orchestrator does not know its display; it is handed one here.
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
    from tui.sources.live import show

    await show(session_state, interrupts)


if __name__ == "__main__":
    sys.exit(main())
