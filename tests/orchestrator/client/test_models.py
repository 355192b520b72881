"""Lists of models as servers write them, and the model that is asked for."""

import json
from typing import Any

import pytest

from orchestrator.client.models import ServedModel, choose_model, models_in
from orchestrator.errors import ConfigError, EndpointRejected


def chosen(answer: Any, wanted: str | None = None) -> tuple[str, str | None]:
    choice = choose_model("http://gpu/v1", models_in(answer), wanted, setting="--model")
    return choice.model.name, choice.note


@pytest.mark.parametrize(
    "answer",
    [
        {"object": "list", "data": [{"id": "m"}]},
        {"data": [{"id": "m"}, {"id": None}, None, 7, {}]},
        {"data": ["m"]},
        {"models": [{"name": "m"}]},
        {"models": [{"model": "m"}]},
        [{"id": "m"}],
        ["m"],
        [{"id": "m"}, {"id": "x" * 501}],
        {"data": [{"id": "m"}, {"id": "*"}]},
    ],
)
def test_the_only_model_is_found_in_any_form_of_list(answer: Any) -> None:
    assert chosen(answer) == ("m", None)


@pytest.mark.parametrize(
    ("listed", "context"),
    [
        (4096, 4096),
        (None, None),
        (0, None),
        (-1, None),
        (10**19, None),
        ("4096", None),
        (True, None),
        (4096.0, None),
    ],
)
def test_a_context_that_is_none_is_unknown(listed: Any, context: int | None) -> None:
    (model,) = models_in({"data": [{"id": "m", "max_model_len": listed, "owned_by": 3}]})
    assert model == ServedModel(name="m", max_model_len=context)


@pytest.mark.parametrize(
    ("pattern", "wanted"), [("*", "any/thing"), ("openai/*", "openai/gpt-oss-20b")]
)
def test_a_gateway_that_lists_patterns_takes_the_models_that_match(
    pattern: str, wanted: str
) -> None:
    assert chosen([pattern], wanted) == (wanted, None)
    with pytest.raises(ConfigError, match="Set --model"):
        chosen([pattern])


def test_a_model_that_is_not_listed_is_asked_for_with_a_note() -> None:
    name, note = chosen(["a", "openai/*"], "other")
    assert name == "other"
    assert note is not None
    assert "does not list the model 'other'" in note
    assert "it lists: a, openai/*." in note


def test_a_list_of_a_million_names_makes_a_short_message() -> None:
    answer = json.loads(json.dumps([f"model-{n}" for n in range(10**5)]))
    with pytest.raises(ConfigError, match=r"model-9, and 99,990 more\. Set --model") as caught:
        chosen(answer)
    assert len(str(caught.value)) < 300


def test_long_and_hostile_names_are_cut_and_cleaned() -> None:
    with pytest.raises(ConfigError) as caught:
        chosen(["a\x1b[2J\n\u202eb", "y" * 500])
    assert "\x1b" not in str(caught.value)
    assert "\u202e" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_no_model_at_all_is_refused() -> None:
    with pytest.raises(EndpointRejected, match="lists no model"):
        chosen([])
