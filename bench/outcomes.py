"""Outcomes as a file, one JSON object a line, and as the line per policy and file that others script against."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from bench.intervals import interval_of_mean
from bench.replaying import Outcome
from orchestrator.errors import DatasetError, JournalError

__all__ = ["by_policy", "per_question", "policy_line", "read_outcomes", "write_outcomes"]


def policy_line(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The agreed line of one policy on one file; accuracy is a share, 0..1, tokens are means per question."""
    accuracy = interval_of_mean(per_question(outcomes, lambda each: float(each.correct)))
    sequential = [each.sequential_tokens for each in outcomes if each.sequential_tokens is not None]
    questions = {each.question_id for each in outcomes}
    return {
        "file": outcomes[0].file,
        "policy": outcomes[0].policy,
        "accuracy": round(accuracy.mean, 4),
        "accuracy_low": round(accuracy.low, 4),
        "accuracy_high": round(accuracy.high, 4),
        "tokens_per_question": round(float(np.mean([each.tokens for each in outcomes])), 1),
        "sequential_tokens": round(float(np.mean(sequential)), 1) if sequential else None,
        "judge_tokens_per_question": round(
            float(np.mean([each.judge_tokens for each in outcomes])), 1
        ),
        "questions": len(questions),
        "resamples": len(outcomes) // len(questions),
    }


def per_question(outcomes: Iterable[Outcome], value: Callable[[Outcome], float]) -> list[float]:
    """The mean of `value` over the resamplings of each question, in order of the questions' ids."""
    values: dict[str, list[float]] = {}
    for outcome in outcomes:
        values.setdefault(outcome.question_id, []).append(value(outcome))
    return [float(np.mean(values[question])) for question in sorted(values)]


def by_policy(outcomes: Iterable[Outcome]) -> dict[tuple[str, str], list[Outcome]]:
    """The outcomes of each file and policy, in order of appearance."""
    groups: dict[tuple[str, str], list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault((outcome.file, outcome.policy), []).append(outcome)
    return groups


def write_outcomes(path: Path, outcomes: Iterable[Outcome]) -> None:
    """Writes a whole file of outcomes, or leaves the old one as it was.

    Raises:
        JournalError: the file cannot be written.
    """
    unfinished = path.with_name(f".{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_bytes(b"".join(msgspec.json.encode(each) + b"\n" for each in outcomes))
        unfinished.replace(path)
    except OSError as error:
        raise JournalError(f"{path} cannot be written ({error}); give another file.") from error


def read_outcomes(path: Path) -> list[Outcome]:
    """The outcomes in a file.

    Raises:
        DatasetError: the file cannot be read, or a line is no outcome.
    """
    decoder = msgspec.json.Decoder(Outcome)
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        reason = error.strerror or str(error)
        raise DatasetError(f"Cannot read {path}: {reason}; check the path.") from error
    outcomes = []
    for number, line in enumerate(lines, start=1):
        try:
            outcomes.append(decoder.decode(line))
        except msgspec.DecodeError as error:
            raise DatasetError(
                f"{path} line {number} is no outcome ({error}); give a file made by --out."
            ) from error
    if not outcomes:
        raise DatasetError(f"{path} holds no outcome; give a file made by --out.")
    return outcomes
