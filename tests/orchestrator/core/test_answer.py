import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.answer import extract_answer, trim_answer

CASES: list[dict[str, Any]] = [
    json.loads(line)
    for line in (Path(__file__).parents[2] / "cases" / "answers.jsonl").read_text().splitlines()
]
MEGABYTE = 1_000_000


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["text"][-40:])
def test_cases_from_the_field_are_read_as_a_person_would(case: dict[str, Any]) -> None:
    assert extract_answer(case["text"]) == case["answer"]


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"so \boxed{42}.", "42"),
        (r"\boxed{\frac{1}{\sqrt{2}}}", r"\frac{1}{\sqrt{2}}"),
        (r"\boxed {4} and on", "4"),
        (r"\boxed 5", "5"),
        (r"\boxed 1,234.", "1,234"),
        (r"\boxed C", "C"),
        (r"\fbox{3}", "3"),
        (r"\\boxed{9}", "9"),
        (r"\boxed{1} then \boxed{2}", "2"),
        (r"\boxed{\boxed{3}}", "3"),
        (r"\boxed{x = \fbox{3}}", "3"),
        (r"\boxed{\{1,2\}}", r"\{1,2\}"),
        (r"a } stray { brace \boxed{7} {", "7"),
        (r"\boxed{3 was left open, \boxed{4} not", "4"),
        (r"\boxed{7} and \boxed{ }", "7"),
        (r"\boxed{\text{(C)}}", "C"),
        ("\\boxed{\n 12 \n}", "12"),
    ],
)
def test_the_last_box_is_the_answer(text: str, answer: str) -> None:
    assert extract_answer(text) == answer


@pytest.mark.parametrize(
    "text",
    [
        r"\boxed{3} no, \boxed{4",
        r"\boxed{}",
        r"put it into \boxed notation",
        r"\boxed",
        r"\boxedset{3}",
        "the answer is \\boxed{4",
        r"\boxed{" + "9" * 1001 + "}",
    ],
)
def test_a_box_that_is_broken_or_empty_is_no_answer(text: str) -> None:
    assert extract_answer(text) is None


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("The answer is 42.", "42"),
        ("The answer is: **42**.", "42"),
        ("**Answer:** 42", "42"),
        ("**Answer**: 42", "42"),
        ("### FINAL ANSWER: 1/2", "1/2"),
        ("Answer:\n\n-7", "-7"),
        (r"The final answer is $\frac{1}{2}$, as shown.", r"\frac{1}{2}"),
        (r"The answer is \(x+1\).", "x+1"),
        ("the answer is `12`", "12"),
        ("The answer is 42 because 6 * 7 is 42.", "42"),
        ("The answer is 0.5, since half remains.", "0.5"),
        ("The answer is x = 5.", "x = 5"),
        ("the answer is sqrt(2).", "sqrt(2)"),
        ("The answer is 42 apples.", "42 apples"),
        ("The answer is New York.", "New York"),
        ("the answer is yes", "yes"),
        ("The answer is 1. Wait. The answer is 2.", "2"),
        ("The answer is 42. I hope the answer is correct.", "42"),
    ],
)
def test_the_last_phrase_that_reads_as_an_answer_counts(text: str, answer: str) -> None:
    assert extract_answer(text) == answer


@pytest.mark.parametrize(
    "text",
    [
        "The answer is not 5.",
        "The answer is **not 5**.",
        "The answer is obvious.",
        "The answer is about 5.",
        "The answer is 3 times 5.",
        "The answer is $5$ times $3$.",
        "The answer is either 3 or 4.",
        "The answer is 5 if one counts the first of the apples twice.",
        "Answer: Let me compute",
        "the answer is:",
        "The answer is " + "9" * 400,
        "What is the answer? Nobody knows.",
        "",
    ],
)
def test_a_phrase_that_leaves_doubt_is_no_answer(text: str) -> None:
    assert extract_answer(text) is None


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("Answer: (C)", "C"),
        ("answer: C", "C"),
        ("The answer is C. Paris", "C"),
        ("The answer is (c) forty-two", "C"),
        ("The answer is C) forty-two", "C"),
        ("the answer is option D", "D"),
        ("The answer is **(B)**.", "B"),
        ("**C**", "C"),
        ("Both fit.\n\n(C)", "C"),
        ("Both fit.\nC.\n", "C"),
        ("So:\n**B. Berlin**", "B"),
    ],
)
def test_a_choice_letter_counts_where_it_stands_for_a_choice(text: str, letter: str) -> None:
    assert extract_answer(text) == letter


@pytest.mark.parametrize(
    "text",
    ["The answer is (A) and (B)", "The answer is A + B.", "A good one", "Both fit.\n**Berlin**"],
)
def test_a_letter_among_others_is_no_choice(text: str) -> None:
    assert extract_answer(text) is None


@pytest.mark.parametrize("text", ["42", " $42$ ", "**42**", "42."])
def test_a_number_that_is_all_the_text_is_the_answer(text: str) -> None:
    assert extract_answer("<think>hm</think>" + text) == "42"


@pytest.mark.parametrize("text", ["on 42", "first\n42", "x" * 400])
def test_a_number_with_other_text_is_not(text: str) -> None:
    assert extract_answer(text) is None


# --- thoughts and the final word ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"<think>\boxed{5}</think>\boxed{6}", "6"),
        (r"<think>\boxed{5}</think>The answer is 6.", "6"),
        (r"\boxed{5}</think>so be it", "5"),
        (r"<think>\boxed{5} done", "5"),
        ("<think>the answer is 5</think>so be it", None),
        ("<think>the answer is 5", None),
        (r"\boxed{1}</think>\boxed{2}</think>\boxed{3}", "3"),
    ],
)
def test_the_final_word_goes_before_the_thoughts(text: str, answer: str | None) -> None:
    assert extract_answer(text) == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"<think>hm</think>\boxed{3} and mo", "3"),
        (r"<think>hm</think>\boxed{3", None),
        (r"<think>\boxed{3} but", None),
        (r"\boxed{3} but", None),
        ("<think>hm</think>The answer is 12", None),
    ],
)
def test_a_trace_cut_off_answers_only_by_a_whole_box_after_its_thoughts(
    text: str, answer: str | None
) -> None:
    assert extract_answer(text, finished=False) == answer


@pytest.mark.parametrize(
    ("text", "regex", "answer"),
    [
        (r"a=1 a=2 \boxed{3}", r"a=(\d)", "2"),
        (r"a=1 a=2 \boxed{3}", r"a=\d", "a=2"),
        (r"a=1</think>\boxed{3}", r"a=(\d)", "3"),
        (r"a=1</think>so be it", r"a=(\d)", "1"),
        (r"b \boxed{3}", r"a=(\d)", "3"),
        (r"a= \boxed{3}", r"a=(\d)?", "3"),
    ],
)
def test_the_users_own_pattern_goes_first(text: str, regex: str, answer: str) -> None:
    assert extract_answer(text, regex=regex) == answer


# --- spelling -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "trimmed"),
    [
        ("  42  ", "42"),
        ("$$42$$", "42"),
        (r"\[ 42. \]", "42"),
        (r"$\text{ two  words }$.", "two words"),
        (r"\mathrm{yes}", "yes"),
        ("$1$ and $2$", "$1$ and $2$"),
        (r"\text{a} + \text{b}", r"\text{a} + \text{b}"),
        ("0.333...", "0.333..."),
        ("1,234", "1,234"),
        ("(d)", "D"),
        ("(x+1)", "(x+1)"),
        ("3!", "3!"),
        ("$", "$"),
        ("****", "****"),
    ],
)
def test_only_what_does_not_belong_to_the_answer_is_trimmed(raw: str, trimmed: str) -> None:
    assert trim_answer(raw) == trimmed


@given(st.text(alphabet="$*`.,()[]{}\\ textbfA1", max_size=60))
def test_trimming_twice_changes_nothing_more(text: str) -> None:
    assert trim_answer(trim_answer(text)) == trim_answer(text)


@given(st.text(alphabet="\\boxedf{} 1C</think>answeris:.$*\n()", max_size=200))
def test_no_text_breaks_the_extraction(text: str) -> None:
    for finished in (True, False):
        answer = extract_answer(text, finished=finished)
        assert answer is None or answer == trim_answer(answer) != ""


# --- untrusted text -------------------------------------------------------------------------------


def seconds_for(unit: str, size: int, repeats: int = 1) -> float:
    """The least of the measurements, in CPU seconds."""
    text = "the answer is " + unit * (size // len(unit))
    measured = []
    for _ in range(repeats):
        start = time.process_time()
        extract_answer(text)
        measured.append(time.process_time() - start)
    return min(measured)


@pytest.mark.slow  # reads megabytes
@pytest.mark.parametrize(
    "unit",
    [
        *(r"\boxed{", r"\boxed ", "{", "\\", "answer is ", "answer: $", "*", " ", "`", "\n", "1 "),
        *('"answer": "', "<answer>", "</answer>", "#### ", "**a ", "*a", " *a* ", "__", "答案是"),
        *("_a ", " _a_ ", "<answer x", "{answer:", r"\boxed{answer is ", "选", "— ", " (a "),
        *(r"\[", r"\(", r"\boxed{?}", r"\boxed{a=b} answer: ", "# answer\n"),
    ],
)
def test_a_megabyte_of_junk_takes_linear_time(unit: str) -> None:
    small, large = seconds_for(unit, MEGABYTE // 8, 3), seconds_for(unit, MEGABYTE)
    assert large < 4 * 8 * small + 0.1  # quadratic would be 64 times as long
