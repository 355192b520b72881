"""`deepprune-orchestrate` with its screen: the entry point that combines the orchestrator and the TUI.

The orchestrator does not know the TUI; it is passed a display here. Textual is imported only when a screen is shown.
"""

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TextIO

from orchestrator.cli.program import run_program

if TYPE_CHECKING:
    from orchestrator.session.display import PlainLines
    from orchestrator.session.state import SessionState
    from tui.app import DeepPruneApp

__all__ = ["Screen", "main"]


def main(argv: Sequence[str] | None = None) -> int:
    """The command line of `orchestrator.cli.main`, with the TUI on a terminal."""
    return run_program("deepprune-orchestrate", argv, _prepare)


def _prepare(words: list[str]) -> Callable[[], int]:
    from orchestrator.cli.main import prepare

    return prepare(words, Screen)


class Screen:
    """The TUI as the display of a session.

    What is written while the screen has the terminal waits until it has left.

    Args:
        lines: shows the session after the user has left the screen, or when the screen fails.
    """

    def __init__(self, lines: "PlainLines") -> None:
        self._lines = lines
        self._has_terminal = True
        self._waiting: list[tuple[str, TextIO]] = []
        self._app: DeepPruneApp | None = None

    async def show(self, state: "SessionState") -> None:
        """Shows the session until the user leaves or the session closes the screen, then in plain lines."""
        from tui.app import DeepPruneApp
        from tui.sources.live import Live

        def interrupt() -> None:
            if state.phase == "running":
                state.interrupt()
            else:
                app.exit()  # nothing is left to end but the screen

        self._app = app = DeepPruneApp(Live(state), interrupt=interrupt)
        try:
            await self._run(app)
        except Exception as error:
            state.note(f"The screen broke ({error}); the run continues without it.")
        finally:
            self._app = None
            self.release()
        await self._lines.show(state)

    async def _run(self, app: "DeepPruneApp") -> None:
        await app.run_async()

    def write(self, text: str, stream: TextIO) -> None:
        """Writes a line, now or when the screen has left the terminal."""
        if self._has_terminal:
            self._waiting.append((text, stream))
        else:
            self._lines.write(text, stream)

    def release(self) -> None:
        """Gives the terminal back and writes the lines that wait."""
        if self._app is not None:
            self._app.restore_terminal()
        self._has_terminal = False
        for text, stream in self._waiting:
            self._lines.write(text, stream)
        self._waiting.clear()


if __name__ == "__main__":
    sys.exit(main())
