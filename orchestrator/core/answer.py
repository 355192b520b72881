r"""What a trace answers, read from its text alone.

No vote is better than a wrong one. The text after the last `</think>` is the model's final word: every rule is
tried on it. The thoughts before it are read only by the user's own regex and for `\boxed{}`, because "the answer
is 5, no, wait" is no answer. The text is untrusted: every rule of ours takes time linear in its length.

Whether two answers are equal is not decided here (`orchestrator/answers/equality.py`).
"""

import json
import re
from collections import deque
from typing import NamedTuple

from orchestrator.core.trim import (
    DISPLAYS,
    choice_letter,
    is_placeholder,
    labelled_choice,
    trim_answer,
)

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
_STATEMENT = re.compile(
    r"[=<>≤≥≠≈≪≫→⇒∝]|\\(?:ll|gg|l?eq|g?eq|neq?|approx|sim(?:eq)?|equiv|propto|to|[Rr]ightarrow|implies"
    r"|le|ge|in|subset)(?![A-Za-z])"
)
"""A box that relates two sides: an intermediate result, if an explicit answer follows it."""

_EMPHASIS = "\ue000"
"""Takes the place of `**`, `__` and a pair of single `*`, so that "2**3" stays a power."""

_STARS = re.compile(r"(?<![\w)\]}])\*\*|\*\*(?![\w({\\])|(?<!\w)__(?=\S)|(?<=\S)__(?!\w)")
_SINGLE_STARS = re.compile(r"(?<![\w*])\*(?=[^\s*])([^*\n]*)(?<=[^\s*])\*(?![\w*])")
_UNDERLINES = re.compile(r"(?<![\w\\}\])^])_(?=[^\s_{])([^_\n]*)(?<=[^\s_])_(?![\w{])")
_MARKS = str.maketrans(
    {"：": ":", "（": "(", "）": ")", "。": ". ", "，": ", ", "！": "! ", "？": "? ", "；": "; "}
)

_ADVERB = r"\s(?:therefore|thus|then|hence|indeed|simply|just|also)"
_PHRASE = re.compile(
    r"(?:\banswer(?:\s(?:choice|option|letter))?|\b(?:correct|right|best)\s(?:option|choice))E?"
    r"(?:\s{1,3}(?:is|was|(?:would|must|should)(?:@)?\sbe)\b(?:@(?=[\s:]))?\s?:?|\s?(?:[:=]>?|-+>|[→⇒]))(?:E(?=\s))?"
    r"|\b(?:Antwort|Lösung|antwoord)E?(?:\s(?:ist|lautet|is)\b(?:\s(?:also|somit|daher|dus))?\s?:?|\s?:)(?:E(?=\s))?"
    r"|\b(?:réponse|respuesta|risposta|resposta)E?(?:\s(?:finale?|corr?ett?[ao]|correc?t[ae]))?E?"
    r"(?:\s(?:est|es|è|é)\b(?:\s(?:donc|entonces|quindi|então|portanto))?\s?:?|\s?:)(?:E(?=\s))?"
    r"|\b(?:ответ|відповідь)E?(?:\s?[:—–-])(?:E(?=\s))?"
    r"|(?:答案|答え|答|解答|正解|정답|답)E?\s?(?:[应應]?[该該]?(?:是|为|為|选|選)|は|은|는|:)\s?:?(?:E(?=\s))?"
    r"|[故应應](?:[该該])?[选選](?:[择擇])?\s?:?(?=E?\s?\(?[A-J](?![A-Za-z]))"
    r"|(?:\b(?:odpowiedź|odpověď|odpoveď|cevap|yanıt|svar|vastaus|válasz|răspuns|одговор|отговор|jawaban|đáp án"
    r"|απάντηση)|उत्तर|الجواب|الإجابة|پاسخ|תשובה|คำตอบ)E?\s?:(?:E(?=\s))?"
    r"|^(?:\#{1,6}[ \t]*E?|E)(?:the\s)?(?:final\s)?answerE?[ \t]*$".replace("E", _EMPHASIS).replace(
        "@", _ADVERB
    ),
    re.IGNORECASE | re.MULTILINE,
)
_DELIMITED = re.compile(
    rf"```[^\n`]*\n[^`]+```|\\begin\{{({DISPLAYS})\*?\}}(?:(?!\\end\{{\1).){{1,{_WINDOW_CHARS}}}\\end\{{\1\*?\}}"
    rf"|\$\$?(?:[^$\\]|\\.)+\$\$?|\\\((?:(?!\\\)).){{1,{_WINDOW_CHARS}}}\\\)|\\\[(?:(?!\\\]).){{1,{_WINDOW_CHARS}}}\\\]"
    rf"|{_EMPHASIS}[^{_EMPHASIS}]+{_EMPHASIS}|`[^`]+`",
    re.DOTALL,
)
_END_OF_DELIMITED = re.compile(r"[ \t]*(?:$|[\n.,;:!])")
_UNCLOSED = re.compile(r"\\[\[(]|\\begin\b|\$(?!\d)|```|`[^`]*\Z")
"""Where something delimited begins whose end is not there or too far away."""

_LEAD = re.compile(r"(?:\s*\n[ \t]*(?:[-*•>]|[-*_]{3,}(?=\s*\n))(?=\s))+\s*")
"""Marks of a list, of a quotation or of a line across, which begin a line before the answer."""

_TAG = re.compile(r"</?(?:b|strong|i|em|u|code|mark|span|p|center)\b[^<>]{0,100}>", re.IGNORECASE)
_NOUNS = re.compile(r"(?: [^\W\d_]+){1,4}(?=\Z|[\n.,;:!])")
_QUALIFIER = re.compile(
    rf"(?:exactly|precisely|equal to|given by)\s+(?=[{_EMPHASIS}$\\(√π≈+−-]|\d)"
    r"|(?:(?:the|la|le|el|il|die|der|das)\s+)?(?:letter|opción|opção|opzione|lettre|letra|lettera|Buchstabe)\s+"
    r"(?=\(?[A-J](?!\w))"
    r"|(?:la|le|el|il|die|der|das)\s+(?=\(?[A-J](?!\w))",
    re.IGNORECASE,
)
"""Words between "the answer is" and the answer."""

_SENTENCE_END = re.compile(
    rf"\n|[.;?!]{_EMPHASIS}?(?:\s|$)|,?\s(?:because|since|as|so|which)\b|\s*—(?!\s?(?:wait|no|or|actually|hmm)\b)|\s–\s(?=[^\W\d_]{{2}})"
    r"|\s\((?!mod\b|base\b|in base\b)[^\W\d_]{2}[^\W\d_ ,'-]*(?:[ ,'-]+[^\W\d_]+)*\)",
    re.IGNORECASE,
)
_POLITE_ENDING = re.compile(r"(?<=[\dA-J)\]}])\s*(?:です|である|だ|입니다|이다)\Z")
_UNSURE = re.compile(
    r"\\boxed|\\fbox"  # a box that was never closed
    r"|\b(?:not|no longer|and|or|if|than|times|either|maybe|probably|correct|incorrect|right|wrong"
    r"|unclear|unknown|wait|hmm|actually)\b",
    re.IGNORECASE,
)
_CHOICE = re.compile(
    r"(?:[Oo]ption|[Cc]hoice)\s+\(?([A-J])\b"
    r"|\(([A-Ja-j])\)(?=\s|$)"
    r"|([A-J])(?:[):.](?=\s|$)|(?=,\s)|$|\s?(?=[\u2e80-\u9fff\uac00-\ud7af]))"
)
_TWO_CHOICES = re.compile(r"\s*(?:and|or|&|\+|,|[、和或及与跟やと])\s*\(?[A-J](?![A-Za-z])")
_BARE_CHOICE = re.compile(r"([A-J])[):.]?")
_BARE_NUMBER = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?")
_MATHEMATICS = re.compile(
    r"(?:[^A-Za-z\d\\]|(?<![A-Za-z])[A-Za-z](?![A-Za-z])|sqrt|sin|cos|tan|log|ln)*[\d\\]"
)
_NAMES = re.compile(
    r"[A-Z][^\W\d_]*(?: [A-Z][^\W\d_]*)*|[A-Za-zπφ∞∅]|yes|no|true|false|none", re.UNICODE
)
_ANSWER_TAG = re.compile(r"<(?P<closes>/?)(?:final_?)?answer\b[^<>]{0,100}>", re.IGNORECASE)
_JSON = re.compile(
    r"""(?:["'](?:final[_ ]?|correct[_ ]?)?answer["']|\{\s*(?:final_?|correct_?)?answer)\s*:\s*\[?\s*"""
    r"""(?:("(?:[^"\\\n]|\\.)*")|'([^'\n]*)'|([-+]?[\d.][\w.+/-]*|true|false)(?=\s*(?:[],}\n]|\Z)))""",
    re.IGNORECASE,
)
_SINGLE_BACKSLASH = re.compile(r"(?<!\\)\\[A-Za-z]{2}")
_HASHES = re.compile(r"#{4}(?:[ \t]+(?=[^\s])|(?=[-+\d$\\]))([^\n]*)\Z")


class _Box(NamedTuple):
    """What a box holds, trimmed, and where the text goes on behind it."""

    answer: str
    end: int


def extract_answer(text: str, *, regex: str | None = None, finished: bool = True) -> str | None:
    r"""The answer a trace gives in its own spelling, or None if it gives none for sure.

    The rules, best first: the last match of `regex`; the last `\boxed{...}` that holds an answer; `<answer>` tags,
    an "answer" field of JSON, "#### 18"; "the answer is ...", in several languages; a choice letter or a number
    that stands alone. A box that holds a statement, or no letter where one is asked for, gives way to an explicit
    answer behind it. A letter with its option's text ("B. 42") is the letter.

    Args:
        text: all that the trace wrote, thoughts included.
        regex: the user's own; its first group is the answer, or all it matches if it has no group.
        finished: False for a trace cut by the token limit; it answers only by a complete `\boxed{...}`
            after its `</think>`.
    """
    _, closed, final = text.rpartition("</think>")
    if not finished:
        return _answer_of(_last_box(final)) if closed else None
    if not closed and "<think>" in text:
        final = ""
    return (
        (_last_match(final, regex) if regex else None)
        or _stated(final)
        or _standing_alone(final)
        or (_last_match(text, regex) if regex else None)
        or _answer_of(_last_box(text))
    )


def _stated(text: str) -> str | None:
    """What the text says explicitly: by a box, by a marker, or by a phrase."""
    box = _last_box(text)
    if box is None:
        return _marked(text) or _last_phrase(text)
    later = _marked(text[box.end :]) or _last_phrase(text[box.end :])
    letter_expected = later is not None and _BARE_CHOICE.fullmatch(later) is not None
    if later and (
        _STATEMENT.search(box.answer)
        or (letter_expected and not _BARE_CHOICE.fullmatch(box.answer))
    ):
        return later
    return box.answer


def _answer_of(box: _Box | None) -> str | None:
    return box.answer if box else None


def _vote(answer: str) -> str | None:
    """`answer` trimmed, the letter of a labelled choice, or None if nothing is left or it is too long."""
    if len(answer) > _MAX_ANSWER_CHARS:
        return None
    trimmed = trim_answer(answer)
    return None if is_placeholder(trimmed) else labelled_choice(trimmed) or trimmed


def _last_match(text: str, regex: str) -> str | None:
    """The first group of the last match, or all of the match if there is no group."""
    pattern = re.compile(regex)
    matches = deque(pattern.finditer(text), maxlen=1)
    if not matches:
        return None
    answer = matches[0][min(pattern.groups, 1)] or ""
    return trim_answer(answer) or None if len(answer) <= _MAX_ANSWER_CHARS else None


def _last_box(text: str) -> _Box | None:
    r"""What the last `\boxed` holds; None if that one never closes. The inner of two nested boxes counts.

    A box that is empty, or holds a placeholder, is passed over.
    """
    open_braces: list[int] = []  # where each box's content starts, or that it is no box
    start, found = 0, None
    for token in _BOX_TOKEN.finditer(text):
        if token["bare"]:
            start, found = token.start("bare"), _Box(token["bare"], token.end())
        elif token["open"]:
            open_braces.append(token.end())
        elif token["brace"] == "{":
            open_braces.append(_NOT_A_BOX)
        elif token["brace"] and open_braces:
            opened = open_braces.pop()
            answer = _in_box(text[opened : token.start()]) if opened > start else None
            if answer:
                start, found = opened, _Box(answer, token.end())
    if any(opened > start for opened in open_braces):
        return None
    return found


def _in_box(content: str) -> str | None:
    """What a box holds; of a sentence ("the answer is D") the answer that it says."""
    says = "answer" in content and len(content) <= _WINDOW_CHARS
    return (_last_phrase(trim_answer(content)) if says else None) or _vote(content)


def _marked(text: str) -> str | None:
    """What stands behind a marker that is made for answers: `<answer>`, JSON's "answer", "####"."""
    return _tagged(text) or _in_json(text) or _behind_hashes(text)


def _tagged(text: str) -> str | None:
    start = found = None
    for tag in _ANSWER_TAG.finditer(text):
        if not tag["closes"]:
            start = tag.end()
        elif start is not None:
            found = text[start : tag.start()]
    return None if found is None else _last_phrase(found) or _vote(found)


def _in_json(text: str) -> str | None:
    for match in reversed(deque(_JSON.finditer(text), maxlen=_LAST_PHRASES)):
        quoted, single, bare = match.groups()
        answer = _vote(_unquoted(quoted) if quoted else single or bare or "")
        if answer:
            return answer
    return None


def _unquoted(quoted: str) -> str:
    r"""A JSON string's text; one that holds LaTeX with single backslashes ("\frac") is taken as it stands."""
    if _SINGLE_BACKSLASH.search(quoted):
        return quoted[1:-1]
    try:
        return str(json.loads(quoted))
    except ValueError:
        return quoted[1:-1]


def _behind_hashes(text: str) -> str | None:
    """GSM8K's form: the last line is "#### 18". A heading such as "#### Step 4" is none."""
    match = _HASHES.match(text.rstrip().rpartition("\n")[2].lstrip())
    if match is None or len(match[1]) > _WINDOW_CHARS:
        return None
    return _short_answer(trim_answer(match[1]))


def _last_phrase(text: str) -> str | None:
    """What the last "answer is ..." or "answer: ..." that can be read for sure says."""
    marked = _with_emphasis_marked(text)
    for phrase in reversed(deque(_PHRASE.finditer(marked), maxlen=_LAST_PHRASES)):
        answer = _after_phrase(marked, phrase.end())
        if answer and not is_placeholder(answer):
            return answer
    return None


def _with_emphasis_marked(text: str) -> str:
    """`text` with its emphasis as `_EMPHASIS`, and full-width marks and line ends as plain ones."""
    text = text.replace(_EMPHASIS, " ").replace("\r\n", "\n").translate(_MARKS)
    text = _TAG.sub(_EMPHASIS, text)
    text = _STARS.sub(_EMPHASIS, text)
    text = _SINGLE_STARS.sub(rf"{_EMPHASIS}\1{_EMPHASIS}", text)
    return _UNDERLINES.sub(rf"{_EMPHASIS}\1{_EMPHASIS}", text)


def _plain(text: str) -> str:
    return trim_answer(text.replace(_EMPHASIS, " "))


def _after_phrase(text: str, start: int) -> str | None:
    """The answer that begins at `start`: something delimited, or a short sentence that reads as one."""
    lead = _LEAD.match(text, start)
    start = lead.end() if lead else start
    window = _QUALIFIER.sub("", text[start : start + _WINDOW_CHARS].lstrip(), count=1)
    delimited = _DELIMITED.match(window)
    if delimited and not _UNSURE.search(delimited[0]):
        behind = window[delimited.end() :]
        nouns = _NOUNS.match(behind)
        if _END_OF_DELIMITED.match(behind) or (nouns and not _UNSURE.search(nouns[0])):
            answer = _plain(_without_fence(delimited[0]))
            return labelled_choice(answer) or _choice(answer) or answer or None
    if _UNCLOSED.match(window) and not delimited:
        return None
    if window.startswith(_EMPHASIS):
        window = window.replace(_EMPHASIS, "", 1).lstrip()
    letter = labelled_choice(_plain(window.partition("\n")[0]))
    if letter:
        return letter
    end = _SENTENCE_END.search(window)
    if end is None and start + _WINDOW_CHARS < len(text):
        return None
    return _short_answer(_POLITE_ENDING.sub("", _plain(window[: end.start()] if end else window)))


def _without_fence(text: str) -> str:
    """What a fenced block holds, without the name of a language; any other text as it is."""
    return text.partition("\n")[2].removesuffix("```") if text.startswith("```") else text


def _short_answer(sentence: str) -> str | None:
    """`sentence` if it is a choice, or a few words that read as mathematics or a name."""
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
    number = _BARE_NUMBER.fullmatch(_vote(text) or "")
    return number[0] if number else None


def _choice(text: str) -> str | None:
    """The letter of a multiple choice that `text` begins with, as a capital."""
    match = _CHOICE.match(text)
    if match is None or _TWO_CHOICES.match(text, match.end()):
        return None
    return choice_letter(match)
