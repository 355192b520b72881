r"""Untrusted text in documents: one function for each medium, applied where the text is put into it.

Control characters, bidirectional marks and line ends are removed by `sanitize`, as for a terminal; then whatever the
medium interprets is escaped.
"""

import re
from html import escape
from typing import Any

from orchestrator.terminal.sanitize import sanitize

__all__ = ["csv_cell", "html_text", "markdown_code", "markdown_text", "plot_text"]

_FORMULA = re.compile(r"\s*[=+\-@＝＋－＠]")
_MARKDOWN = re.compile(
    r"[\\`*\[\]|~]|(?<![^\W_])_|_(?![^\W_])|:(?=//)"
    r"|\A(?:#{1,6}(?=\s|\Z)|[+-](?=\s|\Z)|[=-]+\Z|\d{1,9}(?=[.)](?:\s|\Z)))"  # heads, items, lines
)
_LABEL_CHARACTERS = 60
_CONTROL_SIGNS = re.compile("[\u2400-\u2426]")
_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def csv_cell(value: Any) -> Any:
    """A value for a CSV cell; text that a spreadsheet would take for a formula gets an apostrophe before it."""
    if not isinstance(value, str):
        return value
    text = sanitize(value)
    return f"'{text}" if _FORMULA.match(text) else text


def markdown_text(text: str) -> str:
    """Text that Markdown shows as it is, also within a table, as a heading or as an item."""
    shown = sanitize(text)
    escaped = _MARKDOWN.sub(lambda found: _escaped(found[0]), shown)
    return re.sub(r"[&<>]", lambda found: _HTML[found[0]], escaped)


def _escaped(marks: str) -> str:
    """A character behind a backslash; of the number of a list item, that is behind the number."""
    return f"{marks}\\" if marks.isdigit() else f"\\{marks}"


def markdown_code(text: str) -> str:
    """Text in backticks, without any in it."""
    return "`" + sanitize(text).replace("`", "'").replace("|", "¦") + "`"


def html_text(text: str) -> str:
    """Text for HTML or SVG, in an element or in a quoted attribute."""
    return escape(sanitize(text))


def plot_text(text: str) -> str:
    """A label for matplotlib, which takes what stands between dollars for mathematics.

    It has at most 60 characters, since a longer one leaves no room for the plot, and no control signs, which the font
    lacks.
    """
    shown = sanitize(text, limit=_LABEL_CHARACTERS)
    return _CONTROL_SIGNS.sub("\N{REPLACEMENT CHARACTER}", shown).replace("$", r"\$")
