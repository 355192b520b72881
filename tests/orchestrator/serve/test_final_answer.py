"""The text that a client gets of the winning trace."""

from orchestrator.report.result import TraceResult
from orchestrator.serve.final_answer import final_answer
from orchestrator.settings import ModelSettings


def trace(text: str, tokens: int = 100) -> TraceResult:
    return TraceResult(
        number=0, text=text, answer="4", tokens=tokens, fate="finished", finish_reason="stop"
    )


def test_the_answer_comes_behind_the_thinking() -> None:
    found = final_answer(trace("<think>\nTwo and two.\n</think>\n\nIt is \\boxed{4}."))
    assert found.reasoning == "Two and two."
    assert found.content == "It is \\boxed{4}."
    assert 0.5 < found.reasoning_fraction < 0.8


def test_thinking_that_the_template_opens_has_no_mark() -> None:
    found = final_answer(trace("Two and two.</think>It is 4."))
    assert (found.reasoning, found.content) == ("Two and two.", "It is 4.")


def test_a_model_that_does_not_think_apart_answers_with_all_its_text() -> None:
    found = final_answer(trace("Two and two is 4."))
    assert (found.reasoning, found.content) == ("", "Two and two is 4.")
    assert found.reasoning_fraction == 0.0


def test_a_preset_says_how_its_family_marks_thinking() -> None:
    model = ModelSettings(thinking_open="[THINK]", thinking_close="[/THINK]\n")
    found = final_answer(trace("[THINK]Two and two.[/THINK]It is 4."), model=model)
    assert (found.reasoning, found.content) == ("Two and two.", "It is 4.")


def test_stop_texts_hold_for_the_answer_only() -> None:
    found = final_answer(trace("one. two</think>three. four\nfive"), stops=("\n", ". "))
    assert (found.content, found.finish_reason) == ("three", "stop")
    assert found.reasoning == "one. two"


def test_the_limit_holds_for_the_answer_only() -> None:
    text = "x" * 92 + "</think>" + "y" * 100
    found = final_answer(trace(text, tokens=200), limit=50)
    assert found.content == "y" * 50
    assert found.finish_reason == "length"
    assert final_answer(trace(text, tokens=200), limit=100).finish_reason == "stop"
