"""What flags accept, and the sentence for everything else."""

from argparse import ArgumentTypeError
from collections.abc import Callable

import pytest

from orchestrator.cli.argtypes import (
    fraction,
    non_negative,
    port,
    positive,
    positive_fraction,
    positive_number,
)


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (positive, "1", 1),
        (positive_number, "0.5", 0.5),
        (non_negative, "0", 0.0),
        (fraction, "0", 0.0),
        (fraction, "1", 1.0),
        (positive_fraction, "1", 1.0),
        (port, "0", 0),
        (port, "65535", 65535),
    ],
)
def test_a_valid_text_becomes_its_value(
    read: Callable[[str], float], text: str, value: float
) -> None:
    assert read(text) == value


@pytest.mark.parametrize(
    ("read", "texts"),
    [
        (positive, ["0", "-1", "1.5", "x", ""]),
        (positive_number, ["0", "-1", "inf", "nan", "x"]),
        (non_negative, ["-0.1", "inf", "nan", "x"]),
        (fraction, ["-0.1", "1.1", "nan", "x"]),
        (positive_fraction, ["0", "1.1", "nan", "x"]),
        (port, ["-1", "65536", "x"]),
    ],
)
def test_an_invalid_text_is_named_in_the_error(
    read: Callable[[str], float], texts: list[str]
) -> None:
    for text in texts:
        with pytest.raises(ArgumentTypeError, match=f"^{text} is not a "):
            read(text)
