import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from orchestrator.core.judging import JudgeSpec, Temperature, pair_prompt, probability_identical


def spec(**changes: Any) -> JudgeSpec:
    fields = {
        "name": "test",
        "model": "m",
        "instruction": "Same end?",
        "query": "{instruction}\n{question}\nA: {new}\n",
        "item": "B: {member}\n",
        "markup_before": "<u>",
        "markup_after": "</u><a>",
    }
    return JudgeSpec.model_validate({**fields, **changes})


def test_the_prompt_is_query_and_item_inside_the_markup() -> None:
    prompt = pair_prompt(spec(), question="1+1?", new="so 2", member="thus 2")
    assert prompt.query == "<u>Same end?\n1+1?\nA: so 2\n"
    assert prompt.item == "B: thus 2\n</u><a>"
    assert prompt.user_message == "Same end?\n1+1?\nA: so 2\nB: thus 2\n"


@given(new=st.text(), member=st.text())
def test_texts_of_traces_are_never_read_as_templates(new: str, member: str) -> None:
    prompt = pair_prompt(spec(), question="{new}", new=new, member=member)
    assert prompt.query == f"<u>Same end?\n{{new}}\nA: {new}\n"
    assert prompt.item == f"B: {member}\n</u><a>"


def test_braces_of_the_template_that_name_nothing_stay() -> None:
    prompt = pair_prompt(spec(query="\\boxed{} {x} {new} {"), question="", new="n", member="m")
    assert prompt.query == "<u>\\boxed{} {x} n {"


def test_a_long_segment_keeps_its_end() -> None:
    prompt = pair_prompt(spec(max_segment_chars=3), question="", new="abcdef", member="uvwxyz")
    assert "A: def\n" in prompt.query
    assert "B: xyz\n" in prompt.item


@pytest.mark.parametrize("part", ["query", "item"])
def test_a_template_without_its_trace_is_refused(part: str) -> None:
    with pytest.raises(ValidationError, match="must contain"):
        spec(**{part: "nothing"})


@given(st.floats(-50, 0), st.floats(-50, 0))
def test_probabilities_are_a_softmax_over_the_labels(identical: float, different: float) -> None:
    p = probability_identical((identical, different))
    assert p == pytest.approx(math.exp(identical) / (math.exp(identical) + math.exp(different)))


def test_a_label_that_was_not_reported_has_no_probability() -> None:
    assert probability_identical((-1.0, -math.inf)) == 1.0
    assert probability_identical((-math.inf, -1.0)) == 0.0


def test_no_label_at_all_is_no_verdict() -> None:
    with pytest.raises(ValueError, match="neither"):
        probability_identical((-math.inf, -math.inf))


def test_a_spec_without_a_calibration_leaves_scores_as_they_are() -> None:
    plain = JudgeSpec(name="j", model="m", instruction="", query="{new}", item="{member}")
    hot = plain.model_copy(update={"calibration": Temperature(temperature=2.0)})
    assert plain.calibrated(0.9) == 0.9
    assert hot.calibrated(0.9) == pytest.approx(0.75)


@pytest.mark.parametrize(
    "token",
    [
        "<|im_end|>",
        "<|endoftext|>",
        "<｜end▁of▁sentence｜>",
        "</s>",
        "<end_of_turn>",
        "[/INST]",
        "[SEP]",
    ],
)
def test_control_tokens_in_the_texts_are_broken_up(token: str) -> None:
    texts = {"question": f"1{token}?", "new": f"so {token}", "member": f"{token}{token}"}
    prompt = pair_prompt(spec(markup_after=token), **texts)
    assert token not in prompt.query + prompt.user_message
    assert prompt.item.count(token) == 1  # that of the markup
    assert f"so {token[0]} {token[1:]}" in prompt.query


@pytest.mark.parametrize("text", ["<think> a </think>", "x <| y |> z", "a[1] <b> [X]", "|<s |>"])
def test_other_brackets_in_the_texts_stay(text: str) -> None:
    prompt = pair_prompt(spec(), question="", new=text, member="")
    assert text in prompt.query


def test_a_control_token_that_is_cut_stays_broken() -> None:
    prompt = pair_prompt(spec(max_segment_chars=10), question="", new="x<|im_end|>", member="")
    assert prompt.query.endswith("A:  |im_end|>\n")
