"""Training on the pairs that look like the other class."""

import pytest
from pydantic import ValidationError

from judge_server.data.pairs import Pair
from judge_server.training.data import pairs_of_epoch
from judge_server.training.hard_pairs import hardest
from judge_server.training.settings import TrainSettings

ALIKE = [
    Pair("q", "?", "one two three", member, True)
    for member in ("one two three", "one two", "four five", "one six")
]
DIFFERENT = [
    Pair("q", "?", "one two three", member, False) for member in ("one two three", "seven", "eight")
]
OTHER = [Pair("r", "?", "a", "a", True)]


def test_alike_with_few_words_in_common_and_different_with_many_are_hard() -> None:
    kept = hardest([*ALIKE, *DIFFERENT, *OTHER], 0.5)
    assert kept == [ALIKE[2], ALIKE[3], DIFFERENT[0], DIFFERENT[1], *OTHER]
    assert hardest([*OTHER, *DIFFERENT], 0.1) == [*OTHER, DIFFERENT[0]]
    assert hardest(ALIKE, 1.0) == ALIKE


def test_the_setting_leaves_the_hardest_before_anything_is_repeated() -> None:
    settings = TrainSettings(hard_share=0.5, oversample=1, both_orders=False)
    assert pairs_of_epoch([*ALIKE, *DIFFERENT], settings) == [*ALIKE[2:], *DIFFERENT[:2]]
    settings = TrainSettings(hard_share=0.5, oversample=2, both_orders=True)
    assert len(pairs_of_epoch(DIFFERENT, settings)) == 4


@pytest.mark.parametrize("share", [0.0, -0.1, 1.1])
def test_a_part_that_leaves_nothing_or_is_more_than_all_is_refused(share: float) -> None:
    with pytest.raises(ValidationError, match="hard_share"):
        TrainSettings(hard_share=share)
