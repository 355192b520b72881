"""Types of flags: each gives a value, or a sentence that says what is wrong with the text.

A part is a share of something: a probability, too, is one.
"""

import argparse
import math

__all__ = ["non_negative", "part", "part_above_zero", "port", "positive", "positive_number"]


def positive(text: str) -> int:
    """A whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number of at least 1")
    return int(text)


def positive_number(text: str) -> float:
    """A number above 0."""
    value = _number(text)
    if not value > 0.0:
        raise argparse.ArgumentTypeError(f"{text} is not a number above 0")
    return value


def non_negative(text: str) -> float:
    """A number of at least 0."""
    value = _number(text)
    if not value >= 0.0:
        raise argparse.ArgumentTypeError(f"{text} is not a number of at least 0")
    return value


def part(text: str) -> float:
    """A number from 0 to 1."""
    value = _number(text)
    if not 0.0 <= value <= 1.0:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 0 to 1")
    return value


def part_above_zero(text: str) -> float:
    """A number above 0, at most 1."""
    value = _number(text)
    if not 0.0 < value <= 1.0:
        raise argparse.ArgumentTypeError(f"{text} is not a number above 0 and at most 1")
    return value


def port(text: str) -> int:
    """A TCP port; 0 lets the system choose one."""
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text} is not a port from 0 to 65535")
    return int(text)


def _number(text: str) -> float:
    """The finite number that the text is, NaN for any other."""
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan
