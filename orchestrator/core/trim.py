r"""Spellings without their wrapping: what belongs to an answer, and the letter of a choice.

Nothing here decides whether two answers are equal; only marks that carry no meaning are removed.
"""

import re

__all__ = ["DISPLAYS", "choice_letter", "is_placeholder", "labelled_choice", "trim_answer"]

DISPLAYS = "equation|displaymath|math|align|aligned|alignat|gather|gathered|multline|split|center"
"""LaTeX environments that only set what is in them."""

_DISPLAY = re.compile(rf"\\begin ?\{{({DISPLAYS})\*?\}}(.*)\\end ?\{{\1\*?\}}", re.DOTALL)
_ALIGNMENT = re.compile(r"(?<!\\)&|\\(?:nonumber|notag)\b|\\\\\s*\Z")
_WRAPPERS = (
    ("$$", "$$"),
    ("$", "$"),
    (r"\(", r"\)"),
    (r"\[", r"\]"),
    ("**", "**"),
    ("__", "__"),
    ("`", "`"),
    ('"', '"'),
    ("“", "”"),
    ("'", "'"),
    ("‘", "’"),
    ("«", "»"),
    ("「", "」"),
)
_RELATION = re.compile(r"\A(?:=|≈|\\approx(?![A-Za-z])|:)\s*")
"""What stands before an answer that was copied with it."""

_STYLED = re.compile(
    r"\\(?:text(?:bf|it|rm|sf|tt|normal)?|math(?:rm|bf|it|sf|tt|normal)|boldsymbol|bm|mbox|emph|underline)"
    r" ?\{([^{}]*)\}"
)
_STYLE_WITH_BRACES = re.compile(r"\\(?:boldsymbol|bm|mathbf|mathrm|mathit|ensuremath) ?\{(.*)\}")
_SPACE_AT_EDGE = re.compile(
    r"\A(?:\\[,;:!> ]|\\q?quad\b|\\(?:display|text)style\b|~|\s)+|(?:\\[,;:!> ]|\\q?quad\b|\\\\|~|\s)+\Z"
)
_SPACES = re.compile(r"\\[,;:!> ]|\\q?quad\b|~")
_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
"""Full-width Latin letters, digits and marks, as Chinese and Japanese texts write them."""

_LETTER_IN_PARENTHESES = re.compile(r"\(([A-Za-z])\)")

_LABELLED = re.compile(
    r"(?:(?i:option|choice|answer)\s*:?\s*(?:\(([A-Ja-j])\)|([A-Ja-j]))"
    r"|\(([A-Ja-j])\)|\[([A-J])\]|([A-J])|([a-j])(?=\)\Z))"
    r"(?:[.:)]?\Z|(?<=[)\]])\s+(?=\S)|[.:)]\s+(?!\s*[A-Z]\.\s)(?=\S)|\s+[-–—]\s+(?=[A-Z][a-z]))"
)
_SECOND_LETTER = re.compile(r"\s*(?:and|or|&|,|/|[、和或及与跟やと])\s*\(?[A-J](?![A-Za-z])")

_BRACKETED = re.compile(r"[\[({<]\s*(.*?)\s*[\])}>]")
_PLACEHOLDERS = re.compile(
    r"(?:(?:your|the|final|my|correct|numeric(?:al)?|option)[ _]*)*(?:answer|result|solution|letter|number|value|option|choice)"
    r"(?:[ _]*here)?|insert.*|\\[hv]?phantom ?\{.*\}|[-–—]{2,}|[.…?_\-–—*#x□■☐ ]*[.…?_□■☐][.…?_□■☐ ]*|\\(?:l|c)?dots|\\square|\\_(?:\\_)*|\\text|n/?a",
    re.IGNORECASE,
)


def trim_answer(answer: str) -> str:
    r"""`answer` without what does not belong to it: outer spaces, `$`, `\text{}`, `**`, a final period.

    Runs of white space become one space, thin spaces at the edges go, full-width characters become plain ones,
    and a choice such as "(c)" becomes "C".
    """
    before = None
    trimmed = " ".join(answer.translate(_FULL_WIDTH).split())
    while trimmed != before:
        before = trimmed
        trimmed = _RELATION.sub("", _SPACE_AT_EDGE.sub("", _unwrap(trimmed)))
        if trimmed.endswith((".", ",", ";", "。")) and not trimmed.endswith(".."):
            trimmed = trimmed[:-1]
    letter = _LETTER_IN_PARENTHESES.fullmatch(trimmed)
    return letter[1].upper() if letter else trimmed


def _unwrap(text: str) -> str:
    """`text` without one pair of delimiters that encloses all of it."""
    words = _STYLED.fullmatch(text)
    if words:
        return words[1]
    styled = _STYLE_WITH_BRACES.fullmatch(text)
    if styled and _closes_at_the_end(styled[1]):
        return styled[1]
    display = _DISPLAY.fullmatch(text)
    if display and rf"\end{{{display[1]}" not in display[2]:
        inner = display[2]
        return (inner if r"\begin" in inner else _ALIGNMENT.sub("", inner)).strip()
    for opening, closing in _WRAPPERS:
        inner = text[len(opening) : -len(closing)]
        if (
            inner
            and text == opening + inner + closing
            and closing not in inner.replace(f"\\{closing}", "")
        ):
            return inner
    return text


def _closes_at_the_end(inner: str) -> bool:
    """Whether the braces of `inner` are balanced, so that the brace behind it closes the one before it."""
    depth = 0
    for character in inner:
        depth += (character == "{") - (character == "}")
        if depth < 0:
            return False
    return depth == 0


def labelled_choice(text: str) -> str | None:
    r"""The letter of "B", "(b)", "Option B", "B. 42", "\text{B}: the rate", or None for anything else.

    "A and C" names two choices and is none; so are initials ("J. K. Rowling"), and the parts of an answer
    ("(a) 5, (b) 7").
    """
    words = _SPACES.sub(" ", _STYLED.sub(r"\1", text)).strip()
    match = _LABELLED.match(words)
    if match is None or _SECOND_LETTER.match(words, match.end(match.lastindex or 0)):
        return None
    if _SECOND_LETTER.match(words, match.end()) or _is_list(words, match):
        return None
    return choice_letter(match)


def _is_list(words: str, first: "re.Match[str]") -> bool:
    """Whether the label is the first of several, such as "(a) 5, (b) 7": answers to the parts of a question."""
    following = chr(ord(str(first[first.lastindex or 0])) + 1)
    return re.search(rf"[\s,;]\(?{following}[.)]\s", words[first.end() :]) is not None


def choice_letter(match: "re.Match[str]") -> str:
    """The one group of `match` that took part, as a capital."""
    return str(match[match.lastindex or 0]).upper()


def is_placeholder(answer: str) -> bool:
    """Whether a trimmed answer stands for "put the answer here": nothing, "?", "answer", "[answer]", dots."""
    bracketed = _BRACKETED.fullmatch(answer)
    inner = bracketed[1] if bracketed else answer
    return not inner or _PLACEHOLDERS.fullmatch(inner) is not None
