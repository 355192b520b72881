"""Text that a model or a server wrote, made safe to show.

The rule: whatever is written by others goes through `plain` before it reaches a terminal. Markup such as
`[red]` stays as it is: it is inert as long as the text is shown as a `rich.text.Text`, never as markup.
"""

import unicodedata

__all__ = ["plain"]

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_LINE_ENDS = "\r\n\x0b\x0c\x85\u2028\u2029"


class _Inert(dict[int, str]):
    """What `str.translate` puts in the place of each character; decided once per character."""

    def __missing__(self, code: int) -> str:
        shown = self[code] = _shown(chr(code))
        return shown


def _shown(character: str) -> str:
    """A harmless character for one that could move the cursor, reorder the line or break the encoding."""
    if character == "\n":
        return "\n"
    if character == "\t":
        return "    "
    if character in _LINE_ENDS:
        return "\n"
    if character in _BIDI:
        return _REPLACEMENT
    match unicodedata.category(character):
        case "Cc":
            return _picture(ord(character))
        case "Cf":  # zero-width and other invisible characters
            return ""
        case "Cs" | "Co" | "Cn":
            return _REPLACEMENT
        case _:
            return character


def _picture(code: int) -> str:
    """The visible sign for a control character, e.g. ␛."""
    if code < 0x20:
        return chr(0x2400 + code)
    return "\N{SYMBOL FOR DELETE}" if code == 0x7F else _REPLACEMENT


_INERT = _Inert()


def plain(text: str, *, limit: int | None = None, one_line: bool = True) -> str:
    """`text` without anything that a terminal would obey.

    Control characters become visible signs, bidirectional controls a replacement character, invisible
    characters vanish, lone surrogates can be encoded. With `one_line`, runs of white space become one space.

    Args:
        text: what others wrote.
        limit: the most characters to keep; what is longer ends in "…".
        one_line: whether line ends are taken out as well.
    """
    if limit is not None and len(text) > 8 * limit + 64:
        text = text[: 8 * limit + 64] + " …"  # a megabyte is not translated for one cell
    shown = text.replace("\r\n", "\n").translate(_INERT)
    if one_line:
        shown = " ".join(shown.split())
    if limit is not None and len(shown) > limit:
        shown = shown[: max(0, limit - 1)] + "…"
    return shown
