"""What `deepprune-judge check` is asked to do."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from judge_server.data.truncation import Truncation
from judge_server.evaluation.calibration import CalibrationMethod

__all__ = ["CheckRequest"]


@dataclass(frozen=True, kw_only=True)
class CheckRequest:
    """The command line; `judge_server.cli.check` describes each flag.

    `recorded` are whole traces; if it is None, they are recorded from `endpoints` for the questions of a file. `cut` is
    the judge's own if it is None. `judge_price` is that of a judge's token in reasoner tokens, `budget` counts the
    reasoner's tokens.
    """

    recorded: Path | None
    endpoints: Sequence[str]
    questions: Path | None
    record_flags: Sequence[str]
    traces: int
    budget: int | None
    judge: str
    spec: str | None
    concurrency: int
    cut: Truncation | None
    survivors: int
    taus: Sequence[float]
    resamples: int
    judge_price: float
    calibrate: CalibrationMethod
    seed: int
    out: Path
