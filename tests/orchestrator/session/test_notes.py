"""The sentences about servers, and about costs that are on no other bill."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from orchestrator.report.totals import RewardTotals
from orchestrator.runtime.endpoints import Endpoints
from orchestrator.session.notes import (
    comparison_notes,
    no_rewards_note,
    reward_notes,
    server_notes,
)
from orchestrator.settings import Settings
from tests.support.capabilities import capabilities


def endpoints(
    *,
    addresses: tuple[str, ...] = ("http://gpu:8000/v1",),
    notes: tuple[str, ...] = (),
    same_answer: Any = None,
    **can: Any,
) -> Endpoints:
    found = capabilities(**can)
    reasoner = SimpleNamespace(addresses=addresses, notes=notes)
    parts = {"reasoner": reasoner, "judge": None, "reward": None, "equality": None}
    return Endpoints(
        **cast("dict[str, Any]", parts),
        capabilities=found.reasoner,
        judge_capabilities=found.judge,
        same_answer=same_answer,
    )


def test_the_names_that_servers_give_cannot_write_to_the_terminal() -> None:
    note = server_notes(endpoints(model="nano\x1b[2J"), Settings())[0]
    assert note.startswith("Reasoner nano")
    assert "\x1b" not in note


def test_several_servers_are_named_and_so_are_those_that_are_left_out() -> None:
    addresses = ("http://a:8000/v1", "http://b:8000/v1")
    first, second = server_notes(
        endpoints(addresses=addresses, notes=("http://b is left out\x1b[2J",)),
        Settings.model_validate({"model": {"family": "nano"}}),
    )
    assert "at http://a:8000/v1 and http://b:8000/v1 (" in first
    assert second.startswith("http://b is left out")
    assert "\x1b" not in second


@pytest.mark.parametrize(
    ("policy", "at", "noted"),
    [("deepprune", "pause", True), ("deepprune", "run", False), ("consensus", "pause", False)],
)
def test_a_server_that_cannot_resume_is_noted_where_traces_would_pause(
    policy: str, at: str, noted: bool
) -> None:
    settings = Settings.model_validate(
        {"model": {"family": "nano"}, "policy": {"name": policy}, "checkpoint": {"at": at}}
    )
    notes = server_notes(endpoints(resumable=False), settings)
    assert ("cannot resume" in notes[-1]) is noted
    assert len(server_notes(endpoints(resumable=True), settings)) == 1


def test_a_chat_model_that_compared_answers_has_its_own_bill() -> None:
    assert comparison_notes(endpoints()) == []
    asked = SimpleNamespace(model="qwen", requests=4, tokens=1234, unknown=0)
    (bill,) = comparison_notes(endpoints(same_answer=asked))
    assert "qwen: 4 requests, 1,234 tokens" in bill
    asked.unknown = 2
    assert (
        "2 pairs of answers got no clear verdict"
        in comparison_notes(endpoints(same_answer=asked))[1]
    )


def test_a_vote_without_any_reward_is_noted() -> None:
    assert no_rewards_note(RewardTotals()) is None
    assert no_rewards_note(RewardTotals(traces=3, failures=1, last_failure="down")) is None
    note = no_rewards_note(RewardTotals(failures=2, last_failure="out of \x1bmemory"))
    assert note is not None
    assert "plain majority" in note
    assert "\x1b" not in note


def test_the_cost_of_rewards_and_the_traces_without_one_are_noted() -> None:
    assert reward_notes(RewardTotals()) == []
    (bill,) = reward_notes(RewardTotals(traces=3, prompt_tokens=1500, seconds=2.0))
    assert "3 traces, 1,500 tokens read in 2.0 s" in bill
    notes = reward_notes(RewardTotals(traces=3, failures=1, last_failure="down"))
    assert "1 traces got no reward" in notes[1]


def test_a_model_of_a_known_family_gets_a_note_that_names_its_preset() -> None:
    known = endpoints(model="Qwen/Qwen3-8B")
    assert any("--preset qwen3" in note for note in server_notes(known, Settings()))
    chosen = Settings.model_validate({"model": {"family": "qwen3"}})
    assert not any("--preset" in note for note in server_notes(known, chosen))
    unknown = endpoints(model="gpt-9")
    assert not any("--preset" in note for note in server_notes(unknown, Settings()))


def test_an_instruction_that_nobody_asked_for_is_noted() -> None:
    def told(model: str, **prompt: str) -> bool:
        settings = Settings.model_validate({"prompt": prompt})
        notes = server_notes(endpoints(model=model), settings)
        return any("--prompt plain sends them as they are" in note for note in notes)

    assert told("gpt-9")
    assert not told("nano-reasoner")
    assert not told("gpt-9", name="plain")
