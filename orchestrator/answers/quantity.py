r"""Plain numbers with and without a unit, read exactly: integers, decimals, fractions, percentages, powers of ten.

A `Quantity` is compared by a key that depends on the answer alone, so equality among numbers is transitive and classes
of equal answers do not depend on the order of arrival. What is no plain number ("\sqrt{2}", "x+1") gives None and is
left to the mathematics worker.

Decisions: "50%" is 0.5 and never 50. "101_2" is five. A trailing "!" is a sentence mark unless the question is about
factorials. Units are compared by name, not converted; a number without a unit equals the same number with one.
"""

import re
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from orchestrator.answers.units import canonical_unit

__all__ = ["Quantity", "ascii_mathematics", "number_key", "read_quantity", "split_unit"]

_MAX_CHARS = 6000
_MAX_EXPONENT = 400
_SIGNIFICANT_DIGITS = 6
"""As math-verify rounds: 0.666667 equals 2/3, 0.33 does not equal 1/3."""

_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "0123456789+-n")
_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_SYMBOLS = {
    "−": "-", "–": "-", "×": r"\times ", "·": r"\cdot ", "⋅": r"\cdot ", "÷": "/", "⁄": "/", "π": r"\pi ",
    "∞": r"\infty ", "≤": r"\le ", "≥": r"\ge ", "≠": r"\ne ", "∪": r"\cup ", "∩": r"\cap ", "∈": r"\in ",
    "½": r"\frac{1}{2}", "⅓": r"\frac{1}{3}", "⅔": r"\frac{2}{3}", "¼": r"\frac{1}{4}", "¾": r"\frac{3}{4}",
    "⅕": r"\frac{1}{5}", "⅛": r"\frac{1}{8}", "…": "...", "\u2009": " ", "\u202f": " ", "\u00a0": " ",
    "∅": r"\emptyset ", "±": r"\pm ", "θ": r"\theta ", "α": r"\alpha ", "β": r"\beta ", "λ": r"\lambda ",
}  # fmt: skip
_SYMBOL = re.compile("|".join(map(re.escape, _SYMBOLS)))
_ROOT = re.compile(r"(√|∛)\s*(?:\(([^()]*)\)|\{([^{}]*)\}|(\d+(?:\.\d+)?|[A-Za-z]))")
_SUPERSCRIPT = re.compile(r"[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ]+")
_SUBSCRIPT = re.compile(r"[₀₁₂₃₄₅₆₇₈₉]+")
_BARE_FUNCTION = re.compile(
    r"(?<![\\A-Za-z])(arc(?:sin|cos|tan)|(?:sin|cos|tan|cot|sec|csc)h?|log|ln|exp)(?=\s*[(^_\\]|\s+[A-Za-z\d])"
)
_THIN_SPACES = re.compile(r"\\[,;:!> ]|\\q?quad\b|~")
_SIZES = re.compile(r"\\(?:left|right|big|Big|bigg|Bigg|displaystyle|textstyle)(?![A-Za-z])")
_STYLED_NUMBER = re.compile(
    r"\\(?:boldsymbol|bm|mathbf|mathrm|mathit|text|textbf) ?\{([-+]?[\d.,]+)\}"
)

_DIGITS = r"(?:\d{1,3}(?:,\d{3})+|\d{1,3}(?: \d{3})+(?!\d)|\d+)"
_DECIMAL = re.compile(rf"[-+]?(?:{_DIGITS}(?:\.\d*)?|\.\d+)")
_POWER = re.compile(
    rf"(?P<factor>{_DECIMAL.pattern})(?:[eE](?P<e>[-+]?\d+)"
    r"|\s*(?:\\times|\\cdot|\*|[xX])\s*10\s*(?:\^|\*\*)\s*(?:\{\s*)?(?P<ten>[-+]?\d+)(?:\s*\})?)"
    r"|(?P<sign>[-+]?)10\s*(?:\^|\*\*)\s*(?:\{\s*)?(?P<bare>[-+]?\d+)(?:\s*\})?"
)
_REPEATING = re.compile(
    r"(?P<sign>[-+]?)(?P<whole>\d*)\.(?P<fixed>\d*)"
    r"(?:\\(?:overline|bar|dot)\s*\{?(?P<line>\d+)\}?|\((?P<parentheses>\d+)\))"
)
_ELLIPSIS = re.compile(r"(?P<sign>[-+]?)(?P<whole>\d+)\.(?P<digits>\d+)(?:\.\.\.|\\l?dots)")
_PERIOD = re.compile(r"(\d*?)(\d+?)\2{1,}\Z")
_FRACTION = re.compile(
    rf"(?P<sign>[-+]?)\s*(?:(?P<whole>\d+)(?:\s*(?=\\)|\s+(?=\d)))?"
    rf"(?:\\[dtc]?frac\s*(?:\{{\s*(?P<top>[-+]?{_DIGITS}(?:\.\d+)?)\s*\}}|(?P<t>\d))\s*"
    rf"(?:\{{\s*(?P<bottom>[-+]?{_DIGITS}(?:\.\d+)?)\s*\}}|(?P<b>\d))"
    rf"|(?P<over>{_DIGITS}(?:\.\d+)?)\s*/\s*(?P<under>{_DIGITS}(?:\.\d+)?))"
)
_IN_BASE = re.compile(r"\(?(?P<digits>[0-9A-Za-z]+)\)?_\{?\s*(?:\\text\{)?(?P<base>\d{1,2})\}?\}?")
_PERCENT = re.compile(r"\s*(?:\\?%|\\text\{\s*(?:\\?%|percent)\s*\}|per ?cent\b)\Z")
_ASSIGNED = re.compile(r"[A-Za-z](?:_\{?\w\}?)?\s*(?:=|\\approx|≈)\s*(?=[-+.\d\\$(])")
_CURRENCY = re.compile(
    r"(?P<sign>[-+]?)\s*(?:US\s?)?(?P<currency>\\?\$|€|£|¥|₹|\\text\{\\?\$\})\s*(?=[-+.\d\\])"
)
_TRAILING_UNIT = re.compile(
    r"(?P<number>.*?[\d}).!])(?P<gap>\s*)(?P<unit>(?:\\(?:text|mathrm|textrm|rm|mbox|operatorname)\s*\{[^{}]*\}"
    r"|\^?\{?\\circ\}?|°|[€£¥₹¢]|[A-Za-zµΩ][A-Za-zµΩ²³]*)(?:[\s/*^.{}()\d²³-]|\\cdot|\\text\{[^{}]*\}|\^?\{?\\circ\}?|°"
    r"|[A-Za-zµΩ²³])*)\Z"
)


class Quantity(NamedTuple):
    """A number, by its rounded key, and the canonical name of its unit, if it has one."""

    key: str
    unit: str | None


def read_quantity(answer: str, *, factorials: bool = False) -> Quantity | None:
    """`answer` (trimmed) as a plain number with at most one unit, or None if it is anything else."""
    if len(answer) > _MAX_CHARS:
        return None
    number, unit = split_unit(ascii_mathematics(answer))
    if not factorials and number.endswith("!") and number[:-1].replace(",", "").isdigit():
        number = number[:-1]
    value = _value(number.strip())
    return None if value is None else Quantity(number_key(value), unit)


def ascii_mathematics(answer: str) -> str:
    r"""`answer` with unicode mathematics as LaTeX ("√2" as "\sqrt{2}"), without thin spaces and sizes."""
    text = _ROOT.sub(_latex_root, answer)
    text = _SYMBOL.sub(lambda found: _SYMBOLS[found[0]], text)
    text = _SUPERSCRIPT.sub(lambda found: "^{" + found[0].translate(_SUPERSCRIPTS) + "}", text)
    text = _SUBSCRIPT.sub(lambda found: "_{" + found[0].translate(_SUBSCRIPTS) + "}", text)
    text = (
        _SIZES.sub("", text)
        .replace("{,}", ",")
        .replace(r"\!", "")
        .replace(r"\varnothing", r"\emptyset")
    )
    text = _BARE_FUNCTION.sub(r"\\\1", text)
    text = _STYLED_NUMBER.sub(r"\1", _THIN_SPACES.sub(" ", text))
    return " ".join(text.split())


def _latex_root(found: "re.Match[str]") -> str:
    inner = found[2] or found[3] or found[4] or ""
    return (r"\sqrt{" if found[1] == "√" else r"\sqrt[3]{") + inner + "}"


def split_unit(text: str) -> tuple[str, str | None]:
    """The part of an answer that is a number or formula, and the canonical name of the unit behind or before it."""
    text = _ASSIGNED.sub("", text, count=1) if _ASSIGNED.match(text) else text
    currency = _CURRENCY.match(text)
    if currency:
        name = canonical_unit(currency["currency"].removeprefix("\\text{").removesuffix("}"))
        return currency["sign"] + text[currency.end() :], name
    trailing = _TRAILING_UNIT.match(text) if len(text) <= 200 else None
    if trailing and not _PERCENT.search(text):
        unit = canonical_unit(trailing["unit"], separated=bool(trailing["gap"]))
        if unit is not None:
            return trailing["number"], unit
    return text, None


def number_key(value: Fraction) -> str:
    """A text that equal numbers share: integers exactly, others rounded to six significant digits or decimals."""
    if value.denominator == 1:
        return _fraction_text(value)
    decimals = _SIGNIFICANT_DIGITS
    magnitude = abs(value)
    while magnitude < Fraction(1, 10) and decimals < _MAX_EXPONENT + _SIGNIFICANT_DIGITS:
        magnitude *= 10
        decimals += 1
    return _fraction_text(Fraction(round(value * 10**decimals), 10**decimals))


def _fraction_text(value: Fraction) -> str:
    return f"{value.numerator:x}/{value.denominator:x}"  # hexadecimal has no limit on digits


def _value(text: str) -> Fraction | None:
    """The exact value of a plain number in any of its spellings."""
    percent = _PERCENT.search(text)
    if percent:
        value = _value(text[: percent.start()].strip())
        return None if value is None else value / 100
    for read in (_decimal, _power, _repeating, _ellipsis, _fraction, _in_base):
        value = read(text)
        if value is not None:
            return value
    return None


def _decimal(text: str) -> Fraction | None:
    if not _DECIMAL.fullmatch(text):
        return None
    return Fraction(Decimal(text.replace(",", "").replace(" ", "")))


def _power(text: str) -> Fraction | None:
    match = _POWER.fullmatch(text)
    if match is None:
        return None
    exponent = int(match["e"] or match["ten"] or match["bare"])
    if abs(exponent) > _MAX_EXPONENT:
        return None
    factor = (
        _decimal(match["factor"])
        if match["factor"]
        else Fraction(-1 if match["sign"] == "-" else 1)
    )
    return None if factor is None else factor * Fraction(10) ** exponent


def _repeating(text: str) -> Fraction | None:
    match = _REPEATING.fullmatch(text)
    if match is None:
        return None
    return _with_period(
        match["sign"], match["whole"], match["fixed"], match["line"] or match["parentheses"]
    )


def _ellipsis(text: str) -> Fraction | None:
    """Reads "0.333..." and "0.1666...": the digits before the dots end in a period that is seen at least twice."""
    match = _ELLIPSIS.fullmatch(text)
    period = _PERIOD.fullmatch(match["digits"]) if match and len(match["digits"]) <= 60 else None
    if match is None or period is None:
        return None
    return _with_period(match["sign"], match["whole"], period[1], period[2])


def _with_period(sign: str, whole: str, fixed: str, period: str) -> Fraction:
    value = Fraction(int(whole or "0")) + Fraction(int(fixed or "0"), 10 ** len(fixed))
    value += Fraction(int(period), (10 ** len(period) - 1) * 10 ** len(fixed))
    return -value if sign == "-" else value


def _fraction(text: str) -> Fraction | None:
    match = _FRACTION.fullmatch(text)
    if match is None:
        return None
    top = _decimal(match["top"] or match["t"] or match["over"])
    bottom = _decimal(match["bottom"] or match["b"] or match["under"])
    if top is None or not bottom:
        return None
    value = top / bottom + int(match["whole"] or "0")
    return -value if match["sign"] == "-" else value


def _in_base(text: str) -> Fraction | None:
    match = _IN_BASE.fullmatch(text)
    if match is None or not 2 <= int(match["base"]) <= 36:
        return None
    try:
        return Fraction(int(match["digits"], int(match["base"])))
    except ValueError:
        return None
