"""Untrusted text (written by a model or a server), made safe to show on a terminal.

Markup such as `[red]` is kept: it has no effect as long as the text is shown as a `rich.text.Text` and never
parsed as markup.
"""

import unicodedata

__all__ = ["sanitize", "start_of_last_character"]

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_LINE_ENDS = "\r\n\x0b\x0c\x85\u2028\u2029"
_MARKS = 2  # combining marks kept on one character: enough for every script, too few to pile up


class _SafeCharacters(dict[int, str]):
    """The table for `str.translate`; each character is looked up in the Unicode database once."""

    def __missing__(self, code: int) -> str:
        safe = self[code] = _safe(chr(code))
        return safe


def _safe(character: str) -> str:
    """The replacement for a character that moves the cursor, reorders the line or cannot be encoded."""
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
            return _control_picture(ord(character))
        case "Cf":  # zero-width and other invisible characters
            return ""
        case "Cs" | "Co" | "Cn":
            return _REPLACEMENT
        case _:
            return character


def _control_picture(code: int) -> str:
    """The visible sign for a control character, e.g. ␛."""
    if code < 0x20:
        return chr(0x2400 + code)
    return "\N{SYMBOL FOR DELETE}" if code == 0x7F else _REPLACEMENT


_SAFE = _SafeCharacters()


def sanitize(text: str, *, limit: int | None = None, one_line: bool = True) -> str:
    """`text` without anything that a terminal would interpret, and with a width that can be computed.

    Control characters become visible signs, bidirectional controls and lone surrogates a replacement
    character; invisible characters, variation selectors and piles of combining marks are removed.

    Args:
        text: untrusted text.
        limit: the most characters to keep; longer text ends in "…".
        one_line: whether line ends and runs of white space become one space.
    """
    if limit is not None and len(text) > 8 * limit + 64:
        text = text[: 8 * limit + 64] + " …"  # do not translate a megabyte to show one cell
    shown = _with_known_width(text.replace("\r\n", "\n").translate(_SAFE))
    if one_line:
        shown = " ".join(shown.split())
    if limit is not None and len(shown) > limit:
        shown = shown[: max(0, limit - 1)] + "…"
    return shown


def _with_known_width(text: str) -> str:
    """`text` with at most two combining marks on a character and without variation selectors."""
    if text.isascii():
        return text
    kept: list[str] = []
    marks = 0
    for character in unicodedata.normalize("NFC", text):
        if "\ufe00" <= character <= "\ufe0f":
            continue
        if not _is_mark(character):
            marks = 0
        else:
            marks += 1
            if marks > _MARKS or not kept:
                continue
        kept.append(character)
    return "".join(kept)


def _is_mark(character: str) -> bool:
    return unicodedata.category(character) in ("Mn", "Me")


def start_of_last_character(text: str) -> int:
    """Where the last character of a sanitized text begins, with the combining marks on it; 0 if it is empty."""
    index = len(text) - 1
    while index > 0 and _is_mark(text[index]):
        index -= 1
    return max(index, 0)
