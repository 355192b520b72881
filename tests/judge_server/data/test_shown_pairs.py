"""Which pairs a training shows: both orders, the rarer class more often, the classes of a question in balance."""

import pytest

from judge_server.data.pairs import Pair
from judge_server.data.shown_pairs import balanced, both_orders, oversample_minority


def pair(same: bool, new: str = "n", *, question: str = "q") -> Pair:
    return Pair(question, "?", new, new.upper(), same)


def test_both_orders_swap_the_segments_and_keep_the_label() -> None:
    ordered = both_orders([pair(True, "a")])
    assert [(p.new, p.member, p.same) for p in ordered] == [("a", "A", True), ("A", "a", True)]


@pytest.mark.parametrize(("same", "different"), [(8, 2), (2, 8)])
def test_only_the_rarer_class_is_oversampled(same: int, different: int) -> None:
    pairs = [pair(True)] * same + [pair(False)] * different
    shown = oversample_minority(pairs, 2)
    assert sum(p.same for p in shown) == (8 if same == 8 else 4)
    assert sum(not p.same for p in shown) == (8 if different == 8 else 4)
    assert len(shown) == 12


def test_oversampling_once_changes_nothing() -> None:
    pairs = [pair(True), pair(False), pair(True)]
    assert oversample_minority(pairs, 1) == pairs


def test_balance_keeps_pairs_that_differ_and_drops_questions_without_any() -> None:
    mixed = [pair(n > 1, f"{n}", question="q") for n in range(8)]
    alike = [pair(True, f"{n}", question="easy") for n in range(5)]
    kept = balanced([*mixed, *alike], 1.5, seed=0)
    assert sum(not one.same for one in kept) == 2
    assert sum(one.same for one in kept) == 3
    assert {one.question_id for one in kept} == {"q"}
    assert kept == balanced([*mixed, *alike], 1.5, seed=0)
