"""A line on stderr every few seconds: how far a long job has come."""

import sys
import time

__all__ = ["ProgressLine"]

_SECONDS = 5.0


class ProgressLine:
    """Says where a job stands, at most every five seconds; ask `is_due` before making a costly text."""

    def __init__(self) -> None:
        self._shown_at = time.monotonic()

    @property
    def is_due(self) -> bool:
        """Whether enough time has passed since the last line."""
        return time.monotonic() - self._shown_at >= _SECONDS

    def show(self, text: str) -> None:
        """Prints the line."""
        self._shown_at = time.monotonic()
        print(text, file=sys.stderr, flush=True)
