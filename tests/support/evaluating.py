"""`deepprune-judge evaluate`, called in the test process."""

import json
from typing import Any

import pytest

from judge_server.cli.main import main

__all__ = ["TRAINING_SETTINGS", "evaluate", "lines"]

TRAINING_SETTINGS = {"seed": 0, "validation_share": 0.2, "test_share": 0.3}


def evaluate(*words: object) -> int:
    """The exit code."""
    return main(["evaluate", *map(str, words)])


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """The JSON lines of stdout."""
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]
