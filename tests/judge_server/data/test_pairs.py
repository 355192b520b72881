"""From traces to labelled pairs: labels, caps, draws."""

from collections import Counter
from operator import eq

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from judge_server.data.pairs import (
    Pair,
    PairCounts,
    PairRules,
    pairs_of_questions,
)
from judge_server.data.traces import TraceRow, traces_of_events
from judge_server.data.truncation import Truncation, TruncationRules
from orchestrator.core.commands import Command
from orchestrator.core.events import Event, RunStarted, TokensArrived, TraceFinished
from orchestrator.core.segment import Segmenter
from orchestrator.settings import Settings
from tests.support.capabilities import capabilities

LONG = "So one. " * 30 + r"The end is \boxed{7}."


def row(text: str = LONG, answer: str | None = "7", question: str = "q1") -> TraceRow:
    return TraceRow(question_id=question, question="How many?", text=text, answer=answer, model="m")


def of_question(
    rows: list[TraceRow], rules: PairRules | None = None, *, seed: int = 0
) -> tuple[list[Pair], PairCounts]:
    return pairs_of_questions([rows], rules or PairRules(), equal=eq, seed=seed)


def test_a_trace_without_an_answer_makes_no_pair_and_is_counted() -> None:
    pairs, counts = of_question([row(), row(answer=None), row()])
    assert len(pairs) == 1
    assert (counts.traces, counts.unanswered) == (3, 1)


def test_all_pairs_are_made_and_labelled_by_answer() -> None:
    pairs, counts = of_question(
        [row(answer="7"), row(answer="7"), row(answer="8"), row(answer="7")]
    )
    assert len(pairs) == 6
    assert sum(pair.same for pair in pairs) == 3
    assert (counts.pairs, counts.same) == (6, 3)


def test_the_cap_holds_per_question() -> None:
    rows = [row(answer=str(n % 2), question=name) for name in ("a", "b") for n in range(8)]
    pairs, counts = pairs_of_questions(
        [rows[:8], rows[8:]], PairRules(pairs_per_question=5), equal=eq, seed=0
    )
    assert [p.question_id for p in pairs] == ["a"] * 5 + ["b"] * 5
    assert counts.pairs == 10
    assert counts.traces == 16


SHORT = r"So the answer is \boxed{7}"


def test_a_pair_of_which_one_segment_shows_an_answer_is_left_out_unless_asked() -> None:
    pairs, counts = of_question([row(SHORT), row(SHORT), row(), row()])
    assert [(p.new, p.member) for p in pairs] == [("So one. " * 24 + "So",) * 2]
    assert (counts.trivial_dropped, counts.shows_answer) == (5, 2)
    assert counts.ended_before_checkpoint == 2
    kept, counts = of_question([row(SHORT), row(SHORT), row(), row()], PairRules(keep_trivial=True))
    assert len(kept) == 6
    assert counts.trivial_dropped == 0


def test_traces_that_end_before_the_cut_can_be_dropped() -> None:
    rows = [row("so it goes on"), row("so it goes"), row()]
    kept, counts = of_question(rows)
    assert (len(kept), counts.short_dropped) == (3, 0)
    kept, counts = of_question([*rows, row()], PairRules(short="drop"))
    assert (len(kept), counts.short_dropped, counts.ended_before_checkpoint) == (1, 2, 2)


def test_only_traces_of_one_model_are_paired() -> None:
    rows = [msgspec.structs.replace(row(), model=name) for name in ("a", "b", "a", "b", "b")]
    pairs, _ = of_question(rows)
    assert sorted(pair.model for pair in pairs) == ["a", "b", "b", "b"]


def test_all_pairs_are_different_ones_and_so_are_the_drawn() -> None:
    rows = [row(f"start {n} " + LONG) for n in range(12)]
    every, counts = of_question(rows)
    assert len({frozenset((p.new, p.member)) for p in every}) == len(every) == 66
    assert counts.capped == 0
    some, counts = of_question(rows, PairRules(pairs_per_question=20))
    assert len({frozenset((p.new, p.member)) for p in some}) == len(some) == 20
    assert counts.capped == 46


def test_an_answer_class_is_taken_for_equality_only_when_trusted() -> None:
    rows = [
        msgspec.structs.replace(row(answer=answer), answer_class=label)
        for answer, label in (("1/2", 0), ("0.5", 0), ("7", 1))
    ]
    assert sum(pair.same for pair in of_question(rows)[0]) == 0
    trusted, _ = of_question(rows, PairRules(TruncationRules(trust_answer_class=True)))
    assert sum(pair.same for pair in trusted) == 1


chunks = st.lists(st.sampled_from(["so", "So ", "wait", " ", ".", "\n", "é", "also"]), max_size=40)


@settings(max_examples=50)
@given(st.lists(chunks, min_size=2, max_size=4), st.integers(1, 9))
def test_a_recorded_run_gives_the_same_pairs_however_its_streams_were_cut(
    traces: list[list[str]], size: int
) -> None:
    texts = ["".join(words) for words in traces]
    recorded = list(traces_of_events(events_of(traces)))
    rechunked = [
        [text[start : start + size] for start in range(0, len(text), size)] for text in texts
    ]
    rules = PairRules(TruncationRules(Truncation(3)))
    expected = of_question(recorded, rules)
    assert of_question(list(traces_of_events(events_of(rechunked))), rules) == expected
    online = set()
    for parts in rechunked:
        segmenter = Segmenter(words=3)
        for part in parts:
            segmenter.feed(part, 0)
        online.add("".join(parts)[: segmenter.finish().chars])
    assert {segment for pair in expected[0] for segment in (pair.new, pair.member)} <= online


def events_of(traces: list[list[str]]) -> list[Event | Command]:
    """A run whose traces arrive in these chunks, each ending in an answer of its own."""
    events: list[Event | Command] = [
        RunStarted(
            at=0.0,
            question_id="q1",
            question="How many?",
            gold=None,
            planned=len(traces),
            settings=Settings(),
            capabilities=capabilities(),
        )
    ]
    for number, parts in enumerate(traces):
        events += [TokensArrived(at=1.0, trace=number, text=part, tokens=1) for part in parts]
        answer = f"A{number % 2}"
        events.append(
            TraceFinished(
                at=2.0,
                trace=number,
                answer=answer,
                raw_answer=answer,
                finish_reason="stop",
                tokens=1,
            )
        )
    return events


def numbered(count: int, model: str = "m") -> list[TraceRow]:
    """Traces of one question, each with a segment of its own."""
    rows = [row(f"start {number} {LONG}", answer=str(number % 3)) for number in range(count)]
    return [msgspec.structs.replace(one, model=model) for one in rows]


def test_the_same_seed_draws_the_same_pairs_and_another_seed_draws_others() -> None:
    rules = PairRules(pairs_per_question=9)
    one, again, other = (of_question(numbered(9), rules, seed=seed)[0] for seed in (0, 0, 1))
    assert one == again
    assert one != other


def test_the_draws_of_a_model_do_not_depend_on_other_models_and_questions() -> None:
    rules = PairRules(pairs_per_question=9)
    alone, _ = of_question(numbered(9), rules)
    other_question = [row(f"{number} {LONG}", question="q0") for number in range(12)]
    together, _ = pairs_of_questions(
        [other_question, [*numbered(7, "n"), *numbered(9)]], rules, equal=eq, seed=0
    )
    assert [pair for pair in together if (pair.question_id, pair.model) == ("q1", "m")] == alone


def test_a_pair_whose_answers_cannot_be_compared_has_no_label_and_is_counted() -> None:
    def undecided(one: str, two: str) -> bool | None:
        return None if "9^{9^9}" in (one, two) else one == two

    rows = [row("so " * 30, answer=answer) for answer in ("7", "7", "8", "9^{9^9}")]
    pairs, counts = pairs_of_questions([rows], PairRules(), equal=undecided, seed=0)
    assert sorted(pair.same for pair in pairs) == [False, False, True]
    assert (counts.pairs, counts.same, counts.undecided) == (3, 1, 3)


def test_a_pair_names_its_traces_by_their_place_in_the_file() -> None:
    rows = [row(f"{number} {LONG}", answer=None if number == 1 else "7") for number in range(4)]
    pairs, _ = of_question(rows)
    assert {frozenset(pair.traces or ()) for pair in pairs} == {
        frozenset(each) for each in ((0, 2), (0, 3), (2, 3))
    }
    for pair in (*pairs, *(pair.swapped() for pair in pairs)):
        assert pair.traces == (int(pair.new[0]), int(pair.member[0]))


def by_models(*answers: tuple[str, str]) -> list[TraceRow]:
    """Traces of one question, each of a model and with an answer, whose classes are numbered by model."""
    return [
        msgspec.structs.replace(row(f"{LONG} {n}", answer), model=model, answer_class=n % 2)
        for n, (model, answer) in enumerate(answers)
    ]


def test_traces_of_two_models_are_paired_on_request() -> None:
    rows = by_models(("a", "7"), ("a", "8"), ("b", "7"), ("b", "7"), ("c", "8"))
    rules = PairRules(
        truncation=TruncationRules(trust_answer_class=True), across_models=True, keep_trivial=True
    )
    pairs, counts = of_question(rows, rules)
    across = [pair for pair in pairs if " + " in pair.model]
    assert sorted(pair.model for pair in across) == ["a + b"] * 4 + ["a + c"] * 2 + ["b + c"] * 2
    assert counts.pairs == 8 + 2
    assert counts.traces == 5
    for pair in across:
        assert pair.origins is not None
        answers = {("a", 0): "7", ("a", 1): "8", ("b", 0): "7", ("b", 1): "7", ("c", 0): "8"}
        one, two = (answers[origin.model, origin.trace] for origin in pair.origins)
        assert pair.same is (one == two)  # the answers, not the classes that two authors numbered
        assert {origin.model for origin in pair.origins} == set(pair.model.split(" + "))


def test_the_cap_holds_for_every_two_models() -> None:
    rows = by_models(*((model, str(n % 3)) for n in range(8) for model in "abc"))
    rules = PairRules(across_models=True, pairs_per_question=10)
    pairs, counts = of_question(rows, rules)
    assert Counter(pair.model for pair in pairs) == dict.fromkeys(
        ("a", "b", "c", "a + b", "a + c", "b + c"), 10
    )
    assert counts.capped == 3 * (28 - 10) + 3 * (64 - 10)


def test_pairs_of_one_model_do_not_change_when_models_are_paired() -> None:
    rows = by_models(*((model, str(n % 3)) for n in range(8) for model in "ab"))
    alone, _ = of_question(rows, PairRules(pairs_per_question=9))
    more, _ = of_question(rows, PairRules(pairs_per_question=9, across_models=True))
    assert [pair for pair in more if pair.model in "ab"] == alone


def test_answers_are_sorted_into_classes_on_request() -> None:
    rows = [row(f"{LONG} {n}", answer) for n, answer in enumerate(["7", "8", "07", "7", "9", "8"])]
    pairs, _ = pairs_of_questions(
        [rows], PairRules(with_classes=True), equal=lambda one, two: int(one) == int(two), seed=0
    )
    classes = {origin.trace: origin.answer for pair in pairs for origin in pair.origins or ()}
    assert [classes[n] for n in range(6)] == [0, 1, 0, 0, 2, 1]


def test_too_many_answers_are_not_sorted() -> None:
    rows = [row(f"{LONG} {n}", str(n)) for n in range(70)]
    pairs, _ = of_question(rows, PairRules(with_classes=True))
    assert {origin.answer for pair in pairs for origin in pair.origins or ()} == {None}
