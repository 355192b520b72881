"""`deepprune-serve`: what is refused before anything is served."""

import pytest

from orchestrator.cli.serve import main


def test_a_budget_for_a_file_of_questions_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["--endpoint", "http://127.0.0.1:9/v1", "--set", "policy.budget=1000"]
    assert main(command) == 2
    assert "policy.budget is for the questions of a file" in capsys.readouterr().err
