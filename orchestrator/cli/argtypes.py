"""Types of command-line flags: each returns the value, or says in one sentence what is wrong with the text."""

import argparse
import math
from pathlib import Path

__all__ = [
    "fraction",
    "least_temperature",
    "non_negative",
    "port",
    "positive",
    "positive_fraction",
    "positive_number",
    "text_or_file",
    "whole",
]


def positive(text: str) -> int:
    """A whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number of at least 1")
    return int(text)


def whole(text: str) -> int:
    """A whole number of at least 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text} is not a whole number of at least 0")
    return int(text)


def positive_number(text: str) -> float:
    """A number above 0."""
    value = _number(text)
    if not value > 0.0:
        raise argparse.ArgumentTypeError(f"{text} is not a number above 0")
    return value


def least_temperature(text: str) -> float:
    """A number of at least 0; infinity for "never"."""
    return math.inf if text == "never" else non_negative(text)


def non_negative(text: str) -> float:
    """A number of at least 0."""
    value = _number(text)
    if not value >= 0.0:
        raise argparse.ArgumentTypeError(f"{text} is not a number of at least 0")
    return value


def fraction(text: str) -> float:
    """A number from 0 to 1."""
    value = _number(text)
    if not 0.0 <= value <= 1.0:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 0 to 1")
    return value


def positive_fraction(text: str) -> float:
    """A number above 0, at most 1."""
    value = _number(text)
    if not 0.0 < value <= 1.0:
        raise argparse.ArgumentTypeError(f"{text} is not a number above 0 and at most 1")
    return value


def port(text: str) -> int:
    """A TCP port; with 0 the system chooses one."""
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text} is not a port from 0 to 65535")
    return int(text)


def text_or_file(text: str) -> str:
    """The text, or with @ before it the content of the file of that name."""
    if not text.startswith("@"):
        return text
    path = Path(text[1:])
    try:
        return path.read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise argparse.ArgumentTypeError(f"cannot read {path}: {reason}") from None


def _number(text: str) -> float:
    """The finite number that the text spells, NaN for any other text."""
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan
