"""A trace's text as lines of cells, wrapped as it grows.

The cost of appending depends on the length of the new text only, and no line exceeds its width, whatever a model
wrote.
"""

from collections.abc import Callable
from typing import NamedTuple

from rich.cells import cell_len

from orchestrator.terminal.sanitize import sanitize, start_of_last_character

__all__ = ["Row", "TextFlow", "wrap"]

_SLACK = 24  # cells that may stay empty at a line's end to keep a word whole


class Row(NamedTuple):
    """One line of text; `mark` is set on the line that marks the checkpoint, which has no text."""

    text: str
    mark: bool = False


class TextFlow:
    """Wraps one text to `width` cells; each call of `feed` takes the whole text so far.

    The first `checkpoint` characters are followed by a row that marks the checkpoint.
    """

    def __init__(self, width: int, checkpoint: int | None = None) -> None:
        self.width = max(1, width)
        self.checkpoint = checkpoint
        self.rows: list[Row] = []
        self._consumed = 0

    def feed(self, text: str) -> None:
        """Appends what is new in `text` (untrusted)."""
        mark = self.checkpoint
        if mark is not None and self._consumed < mark <= len(text):
            self._append(text[self._consumed : mark])
            self.rows += [Row("", mark=True), Row("")]
            self._consumed = mark + (text[mark : mark + 1] == " ")
        if len(text) > self._consumed:
            end = len(text) - 1 if text.endswith("\r") else len(text)  # its \n may follow
            self._append(text[self._consumed : end])
            self._consumed = end

    def _append(self, raw: str) -> None:
        last_line = self.rows.pop().text if self.rows else ""
        end = start_of_last_character(last_line)  # marks may follow that belong to it
        first, *others = sanitize(last_line[end:] + raw, one_line=False).split("\n")
        for paragraph in (last_line[:end] + first, *others):
            self.rows += [Row(row) for row in wrap(paragraph, self.width)]


def wrap(text: str, width: int) -> list[str]:
    """One paragraph in lines of at most `width` cells, broken at spaces, or within long words."""
    if text.isascii():
        return _wrap(text, width, _ascii_fit)
    return _wrap(text, width, _fit)


def _wrap(text: str, width: int, fit: Callable[[str, int, int], int]) -> list[str]:
    rows, start = [], 0
    while True:
        end = fit(text, start, width)
        if end >= len(text):
            rows.append(text[start:])
            return rows
        space = text.rfind(" ", max(start + 1, end - min(_SLACK, width // 2)), end + 1)
        if space > start:
            rows.append(text[start:space])
            start = space + 1
        else:
            rows.append(text[start:end])
            start = end


def _ascii_fit(text: str, start: int, width: int) -> int:
    return start + width


def _fit(text: str, start: int, width: int) -> int:
    """The end of the longest piece from `start` that fits; the piece has at least one character."""
    used, index = 0, start
    while index < len(text):
        used += cell_len(text[index])
        if used > width:
            return max(index, start + 1)
        index += 1
    return index
