"""What flags accept, and the sentence for what they do not."""

from argparse import ArgumentTypeError
from collections.abc import Callable

import pytest

from orchestrator.cli.argtypes import (
    non_negative,
    part,
    part_above_zero,
    port,
    positive,
    positive_number,
)


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (positive, "1", 1),
        (positive_number, "0.5", 0.5),
        (non_negative, "0", 0.0),
        (part, "0", 0.0),
        (part, "1", 1.0),
        (part_above_zero, "1", 1.0),
        (port, "0", 0),
        (port, "65535", 65535),
    ],
)
def test_what_fits_is_taken(read: Callable[[str], float], text: str, value: float) -> None:
    assert read(text) == value


@pytest.mark.parametrize(
    ("read", "texts"),
    [
        (positive, ["0", "-1", "1.5", "x", ""]),
        (positive_number, ["0", "-1", "inf", "nan", "x"]),
        (non_negative, ["-0.1", "inf", "nan", "x"]),
        (part, ["-0.1", "1.1", "nan", "x"]),
        (part_above_zero, ["0", "1.1", "nan", "x"]),
        (port, ["-1", "65536", "x"]),
    ],
)
def test_what_does_not_is_named(read: Callable[[str], float], texts: list[str]) -> None:
    for text in texts:
        with pytest.raises(ArgumentTypeError, match=f"^{text} is not a "):
            read(text)
