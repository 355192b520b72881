"""The labels among a server's likely tokens."""

import math
from collections.abc import Sequence

import pytest

from orchestrator.client.judge.logprobs import label_logprobs
from tests.orchestrator.client.judge.fake_judge import (
    LABELS,
)


@pytest.mark.parametrize(
    ("tops", "expected"),
    [
        ({"ident": -1.0, " not": -2.0, "The": -0.1}, (-1.0, -2.0)),
        ({"i": -3.0, "identical": -1.0, "n": -2.0}, (-1.0, -2.0)),
        ({"identical": -1.0}, (-1.0, -math.inf)),
        ({"": -1.0, " ": -1.0, "Not": -1.0}, (-math.inf, -math.inf)),
        ({"not": -9999.0, "identical": -0.5}, (-0.5, -math.inf)),
    ],
)
def test_labels_are_found_by_the_text_of_their_first_token(
    tops: dict[str, float], expected: Sequence[float]
) -> None:
    assert label_logprobs(tops, LABELS, None) == expected


def test_token_ids_take_precedence_over_texts() -> None:
    tops = {"token_id:1": -1.0, "identical": -0.1}
    assert label_logprobs(tops, LABELS, (1, 2)) == (-1.0, -math.inf)
