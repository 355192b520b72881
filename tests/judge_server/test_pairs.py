"""From traces to labelled pairs: cutting, labels, caps, splits, orders, oversampling."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge_server.pairs import (
    Pair,
    PairCounts,
    PairRules,
    both_orders,
    cut_trace,
    make_pairs,
    oversample_minority,
    pairs_of_question,
    same_text,
    split_of,
)
from judge_server.traces import TraceRow
from orchestrator.core.segment import Segmenter

LONG = "So one. " * 30 + r"The end is \boxed{7}."


def row(text: str = LONG, answer: str | None = "7", question: str = "q1") -> TraceRow:
    return TraceRow(question_id=question, question="How many?", text=text, answer=answer, model="m")


def pair(same: bool, name: str = "x") -> Pair:
    return Pair(question_id="q", question="?", new=name, member=name.upper(), same=same)


def of_question(
    rows: list[TraceRow], rules: PairRules | None = None
) -> tuple[list[Pair], PairCounts]:
    counts = PairCounts()
    rules = rules or PairRules()
    return pairs_of_question(rows, rules, equal=same_text, rng=Random(0), counts=counts), counts


def test_a_trace_is_cut_after_its_25th_reasoning_word():
    cut = cut_trace(row(), PairRules())
    assert cut
    assert cut.segment == ("So one. " * 25)[: -len(" one. ")]
    assert not cut.ended_before
    assert not cut.shows_answer


def test_a_trace_that_ends_before_is_taken_whole():
    text = r"So the answer is \boxed{7}"
    cut = cut_trace(row(text), PairRules())
    assert cut
    assert cut.segment == text
    assert cut.ended_before
    assert cut.shows_answer


def test_a_trace_without_an_answer_makes_no_pair_and_is_counted():
    pairs, counts = of_question([row(), row(answer=None), row()])
    assert len(pairs) == 1
    assert (counts.traces, counts.unanswered) == (3, 1)


@given(
    st.lists(st.sampled_from(["so", "So ", "wait", " ", ".", "\n", "é", "also"]), max_size=60),
    st.data(),
)
def test_truncation_is_the_same_for_any_chunking(words: list[str], data: st.DataObject):
    text = "".join(words)
    cut = cut_trace(row(text), PairRules(words=3))
    places = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    streamed = Segmenter(words=3)
    for start, end in zip([0, *places], [*places, len(text)], strict=True):
        streamed.feed(text[start:end], 0)
    assert cut
    assert cut.segment == text[: streamed.finish().chars]


def test_all_pairs_are_made_and_labelled_by_answer():
    pairs, counts = of_question(
        [row(answer="7"), row(answer="7"), row(answer="8"), row(answer="07")]
    )
    assert len(pairs) == 6
    assert sum(pair.same for pair in pairs) == 3
    assert (counts.pairs, counts.same) == (6, 3)


def test_the_cap_holds_per_question():
    rows = [row(answer=str(n % 2), question=name) for name in ("a", "b") for n in range(8)]
    pairs, counts = make_pairs(
        [rows[:8], rows[8:]], PairRules(pairs_per_question=5), equal=same_text, rng=Random(0)
    )
    assert [p.question_id for p in pairs] == ["a"] * 5 + ["b"] * 5
    assert counts.pairs == 10
    assert counts.traces == 16


def test_a_pair_that_shows_both_answers_is_left_out_unless_asked():
    short = r"So the answer is \boxed{7}"
    pairs, counts = of_question([row(short), row(short), row()])
    assert len(pairs) == 2
    assert counts.trivial_dropped == 1
    assert counts.ended_before_checkpoint == 2
    kept, _ = of_question([row(short), row(short), row()], PairRules(keep_trivial=True))
    assert len(kept) == 3


def test_the_same_seed_gives_the_same_pairs():
    rows = [row("so " * n + "end", answer=str(n % 3)) for n in range(9)]
    assert of_question(rows) == of_question(rows)


@pytest.mark.parametrize(
    ("one", "two", "same"),
    [("7", "07", True), (" 7", "7 ", True), ("7", "8", False), ("x", "x", True), ("x", "7", False)],
)
def test_short_answers_are_compared_as_integers_or_text(one: str, two: str, same: bool):
    assert same_text(one, two) is same


def test_a_question_is_in_one_split_only_and_shares_are_kept():
    splits = [split_of(f"q{n}", validation=0.1, test=0.2, seed=3) for n in range(5_000)]
    again = [split_of(f"q{n}", validation=0.1, test=0.2, seed=3) for n in range(5_000)]
    assert splits == again
    assert abs(splits.count("test") / 5_000 - 0.2) < 0.02
    assert abs(splits.count("validation") / 5_000 - 0.1) < 0.02


def test_no_question_is_in_two_splits():
    groups = {
        f"q{n}": [row(question=f"q{n}"), row(question=f"q{n}", answer="8")] for n in range(200)
    }
    seen = {}
    for split in ("train", "validation", "test"):
        rows = [
            g
            for name, g in groups.items()
            if split_of(name, validation=0.2, test=0.2, seed=0) == split
        ]
        pairs, _ = make_pairs(rows, PairRules(), equal=same_text, rng=Random(0))
        seen[split] = {pair.question_id for pair in pairs}
        assert seen[split]
    assert not seen["train"] & seen["validation"]
    assert not (seen["train"] | seen["validation"]) & seen["test"]
    assert len(seen["train"] | seen["validation"] | seen["test"]) == 200


def test_both_orders_swap_the_segments_and_keep_the_label():
    ordered = both_orders([pair(True, "a")])
    assert [(p.new, p.member, p.same) for p in ordered] == [("a", "A", True), ("A", "a", True)]


@pytest.mark.parametrize(("same", "different"), [(8, 2), (2, 8)])
def test_only_the_rarer_class_is_oversampled(same: int, different: int):
    pairs = [pair(True)] * same + [pair(False)] * different
    shown = oversample_minority(pairs, 2)
    assert sum(p.same for p in shown) == (8 if same == 8 else 4)
    assert sum(not p.same for p in shown) == (8 if different == 8 else 4)
    assert len(shown) == 12


def test_oversampling_once_changes_nothing():
    pairs = [pair(True), pair(False), pair(True)]
    assert oversample_minority(pairs, 1) == pairs
