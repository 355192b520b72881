r"""What a trace answers, read from its text alone.

The rule: no ballot is better than a wrong one. What follows the last `</think>` is the model's final word
and is read first, by every rule; all the text after that, but only by the custom regex and for `\boxed{}`,
because "the answer is 5, no, wait" is no answer. The text is untrusted: every rule of ours takes time
linear in its length.

Whether two answers are equal is not decided here; spellings are only trimmed.
"""

import re
from collections import deque

__all__ = ["extract_answer", "trim_answer"]

_MAX_ANSWER_CHARS = 1000
"""What is longer is no answer, and would only burden the equivalence check."""

_WINDOW_CHARS = 300
"""How far behind "the answer is" its answer must end."""

_MAX_WORDS = 4
_LAST_PHRASES = 20

_NOT_A_BOX = -1
_BOX_TOKEN = re.compile(
    r"\\{1,4}(?:boxed|fbox)(?:\s*(?P<open>\{)|\s+(?P<bare>[-+]?\d(?:[\d.,/]*\d)?|[A-Z])(?!\w))"
    r"|\\[\\{}]"  # escaped: a brace of the answer, not of the markup
    r"|(?P<brace>[{}])"
)
_WRAPPERS = (("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"), ("**", "**"), ("`", "`"))
_WORDS_IN_LATEX = re.compile(r"\\(?:text(?:bf|it|rm)?|mathrm|mathbf|mbox) ?\{([^{}]*)\}")
_LETTER_IN_PARENTHESES = re.compile(r"\(([A-Za-z])\)")

_PHRASE = re.compile(r"\banswer(?:\*\*)?(?:\s{1,3}is\b\s?:?|\s?:)(?:\*\*(?=\s))?", re.IGNORECASE)
_DELIMITED = re.compile(
    r"(?:\$\$?[^$]+\$\$?|\\\([^()]+\\\)|\*\*[^*]+\*\*|`[^`]+`)(?=[ \t]*(?:$|[\n.,;:]))"
)
_SENTENCE_END = re.compile(r"\n|[.;?](?:\s|$)|,?\s(?:because|since|as|so|which)\b", re.IGNORECASE)
_UNSURE = re.compile(
    r"\\boxed|\\fbox"  # a box that was never closed
    r"|\b(?:not|no longer|and|or|if|than|times|either|maybe|probably|correct|incorrect|right|wrong"
    r"|unclear|unknown)\b",
    re.IGNORECASE,
)
_CHOICE = re.compile(
    r"(?:[Oo]ption|[Cc]hoice)\s+\(?([A-J])\b"
    r"|\(([A-Ja-j])\)(?=\s|$)"
    r"|([A-J])(?:[):.](?=\s|$)|$)"
)
_BARE_CHOICE = re.compile(r"([A-J])[):.]?")
_BARE_NUMBER = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?")
_MATHEMATICS = re.compile(
    r"(?:[^A-Za-z\d\\]|(?<![A-Za-z])[A-Za-z](?![A-Za-z])|sqrt|sin|cos|tan|log|ln)*[\d\\]"
)
_NAMES = re.compile(
    r"[A-Z][^\W\d_]*(?: [A-Z][^\W\d_]*)*|[A-Za-z]|yes|no|true|false|none", re.UNICODE
)


def extract_answer(text: str, *, regex: str | None = None, finished: bool = True) -> str | None:
    r"""The answer a trace gives in its own spelling, or None if it gives none for sure.

    The rules, best first: the last match of `regex`, the last `\boxed{...}`, "the answer is ...", a choice
    letter or a number that stands alone.

    Args:
        text: all that the trace wrote, thoughts included.
        regex: the user's own; its first group is the answer, or all it matches if it has no group.
        finished: False for a trace cut by the token limit; it answers only by a complete `\boxed{...}`
            after its `</think>`.
    """
    _, closed, final = text.rpartition("</think>")
    if not finished:
        return _last_box(final) if closed else None
    if not closed and "<think>" in text:
        final = ""
    return (
        (_last_match(final, regex) if regex else None)
        or _last_box(final)
        or _last_phrase(final)
        or _standing_alone(final)
        or (_last_match(text, regex) if regex else None)
        or _last_box(text)
    )


def trim_answer(answer: str) -> str:
    r"""`answer` without what does not belong to it: outer spaces, `$`, `\text{}`, `**`, a final period.

    Runs of whitespace become one space, and a choice such as "(c)" becomes "C".
    """
    before = None
    trimmed = " ".join(answer.split())
    while trimmed != before:
        before = trimmed
        trimmed = _unwrap(trimmed).strip()
        if trimmed.endswith((".", ",", ";")) and not trimmed.endswith(".."):
            trimmed = trimmed[:-1]
    letter = _LETTER_IN_PARENTHESES.fullmatch(trimmed)
    return letter[1].upper() if letter else trimmed


def _unwrap(text: str) -> str:
    """`text` without one pair of delimiters that encloses all of it."""
    words = _WORDS_IN_LATEX.fullmatch(text)
    if words:
        return words[1]
    for opening, closing in _WRAPPERS:
        inner = text[len(opening) : -len(closing)]
        if inner and text == opening + inner + closing and closing not in inner:
            return inner
    return text


def _ballot(answer: str) -> str | None:
    """`answer` trimmed, unless nothing is left or it is too long to be one."""
    if len(answer) > _MAX_ANSWER_CHARS:
        return None
    return trim_answer(answer) or None


def _last_match(text: str, regex: str) -> str | None:
    """The first group of the last match, or all of the match if there is no group."""
    pattern = re.compile(regex)
    matches = deque(pattern.finditer(text), maxlen=1)
    return _ballot(matches[0][min(pattern.groups, 1)] or "") if matches else None


def _last_box(text: str) -> str | None:
    r"""What the last `\boxed` holds; None if that one never closes. The inner of two nested boxes counts."""
    open_braces: list[int] = []  # where each box's content starts, or that it is no box
    start, end = 0, 0
    for token in _BOX_TOKEN.finditer(text):
        if token["bare"]:
            start, end = token.span("bare")
        elif token["open"]:
            open_braces.append(token.end())
        elif token["brace"] == "{":
            open_braces.append(_NOT_A_BOX)
        elif token["brace"] and open_braces:
            opened = open_braces.pop()
            if opened > start and text[opened : token.start()].strip():
                start, end = opened, token.start()
    if any(opened > start for opened in open_braces):
        return None
    return _ballot(text[start:end])


def _last_phrase(text: str) -> str | None:
    """What the last "answer is ..." or "answer: ..." that can be read for sure says."""
    for phrase in reversed(deque(_PHRASE.finditer(text), maxlen=_LAST_PHRASES)):
        answer = _after_phrase(text, phrase.end())
        if answer:
            return answer
    return None


def _after_phrase(text: str, start: int) -> str | None:
    """The answer that begins at `start`: something delimited, or a short sentence that reads as one."""
    window = text[start : start + _WINDOW_CHARS].lstrip()
    delimited = _DELIMITED.match(window)
    if delimited and not _UNSURE.search(delimited[0]):
        return _choice_or(trim_answer(delimited[0]))
    end = _SENTENCE_END.search(window)
    if end is None and start + _WINDOW_CHARS < len(text):
        return None
    sentence = trim_answer(window[: end.start()] if end else window)
    if len(sentence.split()) > _MAX_WORDS or _UNSURE.search(sentence):
        return None
    reads_as_answer = _MATHEMATICS.match(sentence) or _NAMES.fullmatch(sentence)
    return _choice(sentence) or (sentence if reads_as_answer else None)


def _standing_alone(text: str) -> str | None:
    """A choice letter that has the last line for itself, or a number that has all the text."""
    line = text.rstrip().rpartition("\n")[2]
    if len(line) > _WINDOW_CHARS:
        return None
    answer = trim_answer(line)
    if line.strip().startswith("**"):
        return _choice(answer) or _number_alone(text)
    letter = _BARE_CHOICE.fullmatch(answer)
    return letter[1] if letter else _number_alone(text)


def _number_alone(text: str) -> str | None:
    number = _BARE_NUMBER.fullmatch(_ballot(text) or "")
    return number[0] if number else None


def _choice_or(answer: str) -> str | None:
    return _choice(answer) or answer or None


def _choice(text: str) -> str | None:
    """The letter of a multiple choice that `text` begins with, as a capital."""
    match = _CHOICE.match(text)
    return str(match[match.lastindex or 0]).upper() if match else None
