"""What follows from the measurements: the number of streams, prices, the exit code and what is printed."""

from io import StringIO

import pytest
import yaml
from rich.console import Console

from orchestrator.doctor.advice import as_yaml, settings_to_take
from orchestrator.doctor.load import Ramp, check_ramp, choose_streams, levels
from orchestrator.doctor.table import render_diagnosis
from orchestrator.doctor.verdict import (
    Check,
    Diagnosis,
    RampStep,
    Rates,
    ServerDiagnosis,
    Verdict,
    exit_code,
    overall,
)

STEPS = (RampStep(1, 100.0), RampStep(2, 195.0), RampStep(4, 210.0), RampStep(8, 205.0))
REASONER = ServerDiagnosis(
    role="reasoner",
    endpoint="http://gpu:8000/v1",
    model="m",
    checks=(Check("reachable", "well", "It answers."),),
    ramp=STEPS,
    rates=Rates(written=210.0, read=2100.0),
)
JUDGE = ServerDiagnosis(
    role="judge",
    endpoint="http://judge:8001/v1",
    checks=(Check("dialect", "limited", "chat", "Serve it with vLLM."),),
    rates=Rates(pairs=10.0, read=4200.0),
)


@pytest.mark.parametrize(
    ("most", "expected"), [(1, [1]), (2, [1, 2]), (6, [1, 2, 4, 6]), (8, [1, 2, 4, 8])]
)
def test_the_ramp_doubles_up_to_its_bound(most: int, expected: list[int]) -> None:
    assert levels(most) == expected


def test_the_fewest_streams_with_nearly_the_highest_pace_are_chosen() -> None:
    assert choose_streams(STEPS) == 2


def test_a_level_with_refusals_is_not_chosen() -> None:
    assert choose_streams((*STEPS, RampStep(16, 900.0, refused=3))) == 2


def test_a_server_that_refuses_even_one_stream_is_asked_for_one() -> None:
    assert choose_streams((RampStep(1, 50.0, refused=1),)) == 1


@pytest.mark.parametrize(
    ("steps", "verdict", "said"),
    [
        (STEPS, "well", "210 at most"),
        (STEPS[:2], "well", "It still grows at 2"),
        ((*STEPS, RampStep(16, 90.0, refused=3)), "limited", "3 of 16"),
        ((RampStep(1, 0.0),), "unusable", "No token"),
    ],
)
def test_the_verdict_on_a_ramp(steps: tuple[RampStep, ...], verdict: Verdict, said: str) -> None:
    check = check_ramp(Ramp(steps, choose_streams(steps)))
    assert check.verdict == verdict
    assert said in check.evidence


def test_prices_are_seconds_of_a_token_in_seconds_of_a_written_one() -> None:
    assert settings_to_take([REASONER, REASONER, JUDGE]) == {
        "run.concurrency": 4,  # two on each server
        "prices.prompt_token": 0.1,
        "prices.judge_prompt_token": 0.05,
    }


def test_what_was_not_measured_is_no_setting() -> None:
    assert settings_to_take([JUDGE]) == {}
    unmeasured = ServerDiagnosis(role="reasoner", endpoint="http://gpu:8000/v1", checks=())
    assert settings_to_take([REASONER, unmeasured]).keys() == {"prices.prompt_token"}


def test_the_yaml_can_be_pasted_into_a_file_of_settings() -> None:
    text = as_yaml([REASONER, JUDGE], settings_to_take([REASONER, JUDGE]))
    assert yaml.safe_load(text)["prices"] == {"prompt_token": 0.1, "judge_prompt_token": 0.05}
    assert "4.76 s for 1,000 tokens written" in text


@pytest.mark.parametrize(
    ("verdicts", "worst", "code"),
    [
        (["well"], "well", 0),
        ([], "well", 0),
        (["well", "unknown"], "unknown", 3),
        (["unknown", "limited", "well"], "limited", 3),
        (["limited", "unusable"], "unusable", 1),
    ],
)
def test_the_worst_verdict_decides(verdicts: list[Verdict], worst: Verdict, code: int) -> None:
    assert overall(Check("x", verdict, "") for verdict in verdicts) == worst
    assert exit_code(worst) == code


def test_the_table_shows_evidence_remedy_and_no_escape_sequence_of_a_server() -> None:
    hostile = Check("model", "limited", "named \x1b[31mred\x1b[0m[bold]", "Rename it.")
    server = ServerDiagnosis(role="reasoner", endpoint="http://gpu/v1", checks=(hostile,))
    diagnosis = Diagnosis.of([server, REASONER], [], settings_to_take([REASONER]))
    shown = render_diagnosis(diagnosis, Console(file=StringIO(), width=100, color_system=None))
    assert "\x1b" not in shown
    assert "[bold]" in shown
    assert "Remedy: Rename it." in shown
    assert "prompt_token: 0.1" in shown
