"""Types of flags: each gives a value, or one sentence that says what is wrong with the text."""

import argparse
import math

__all__ = ["chance", "positive", "price", "speed"]


def positive(text: str) -> int:
    """A whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number of at least 1")
    return int(text)


def price(text: str) -> float:
    """A number of at least 0."""
    value = _number(text)
    if not value >= 0.0:
        raise argparse.ArgumentTypeError(f"{text} is not a price of at least 0")
    return value


def speed(text: str) -> float:
    """A number above 0."""
    value = _number(text)
    if not value > 0.0:
        raise argparse.ArgumentTypeError(f"{text} is not a number above 0")
    return value


def chance(text: str) -> float:
    """A probability, 0..1."""
    value = _number(text)
    if not 0.0 <= value <= 1.0:
        raise argparse.ArgumentTypeError(f"{text} is not a chance between 0 and 1")
    return value


def _number(text: str) -> float:
    """The finite number that the text is, NaN for any other."""
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan
