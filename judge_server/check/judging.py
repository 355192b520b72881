"""The judge's scores of every pair of the recorded traces, and its figures on those that are no giveaway.

A replay asks about any two traces, so all pairs are scored. The figures leave out pairs in which a segment already shows
an answer, as `deepprune-judge evaluate` does. Scores that are kept are not asked for again.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from judge_server.check.request import CheckRequest
from judge_server.data.pairs import Pair, PairCounts
from judge_server.data.truncation import Truncation
from judge_server.evaluation.calibration import CalibrationMethod, cross_fitted
from judge_server.evaluation.candidates import Candidate, QueryOptions, find_candidates
from judge_server.evaluation.evaluate import check_answered
from judge_server.evaluation.measure import (
    EvaluationOptions,
    EvaluationPairs,
    JudgeResult,
    RawScores,
    measure,
    score_pairs,
)
from judge_server.evaluation.pair_source import SamplingOptions, TracePairSource
from judge_server.evaluation.scoring import say
from judge_server.metrics import ScoredPairs
from judge_server.model_folder import SPEC_FILE, write_spec
from orchestrator.errors import ConfigError, DatasetError

__all__ = ["JudgeCheck", "check_judge"]

SCORES_FILE = "scores.jsonl"
_RAW_FILE = "raw-scores.json"
_EVERY_PAIR = 1 << 30


class _Raw(msgspec.Struct):
    """The raw scores of all pairs in their order, and what they are of; nan is None."""

    identity: str
    scores: list[float | None]


@dataclass(frozen=True, kw_only=True)
class JudgeCheck:
    """The judge's figures; `scores` is the file of calibrated verdicts, `spec` that of the calibrated judge, if any.

    `unread` are pairs that were too long for the judge.
    """

    cut: Truncation
    result: JudgeResult
    counts: PairCounts
    scores: Path
    spec: Path | None
    unread: int


def check_judge(request: CheckRequest, traces: Path) -> JudgeCheck:
    """Scores all pairs and writes the files.

    Verdicts are calibrated by a fit to other questions, so that a replay does not flatter the judge.

    Raises:
        ConfigError: a judge or a file that does not fit.
        DatasetError: traces that cannot be used, or pairs of one class only.
        EndpointError, JudgeError: a server that fails.
    """
    specs = [request.spec] if request.spec else []
    (judge,) = find_candidates([request.judge], QueryOptions(specs, None, request.concurrency))
    cut = request.cut or (Truncation() if judge.spec is None else Truncation.of_judge(judge.spec))
    pairs, _ = _pairs(request, traces, cut, keep_trivial=True)
    honest, counts = _pairs(request, traces, cut, keep_trivial=False)
    _validate(traces, pairs, counts)
    raw = _scores(request, judge, pairs)
    _write_scores(request, judge, pairs, raw)
    at = {_key(pair): score for pair, score in zip(pairs, raw, strict=True)}
    read = [pair for pair in honest if not np.isnan(at[_key(pair)])]
    scores = np.array([at[_key(pair)] for pair in read])
    options = EvaluationOptions(calibrate=request.calibrate, seed=request.seed)
    result = measure(
        judge,
        EvaluationPairs(pairs=read),
        RawScores(orders=[scores], truncated={}, validation=None, pairs_per_second=0.0),
        options,
    )
    return JudgeCheck(
        cut=cut,
        result=result,
        counts=counts,
        scores=request.out / SCORES_FILE,
        spec=_write_calibrated(request, judge, result),
        unread=int(np.isnan(raw).sum()),
    )


def _pairs(
    request: CheckRequest, traces: Path, cut: Truncation, *, keep_trivial: bool
) -> tuple[list[Pair], PairCounts]:
    sampling = SamplingOptions(
        pairs_per_question=_EVERY_PAIR, seed=request.seed, keep_trivial=keep_trivial
    )
    source = TracePairSource([traces], sampling)
    drawn = source.pairs(source.questions, cut)
    return list(drawn.pairs), drawn.counts


def _validate(traces: Path, pairs: list[Pair], counts: PairCounts) -> None:
    check_answered(traces.name, counts)
    models = sorted({pair.model for pair in pairs})
    if len(models) > 1:
        raise ConfigError(
            f"{traces} holds traces of {' and '.join(models)}; give the traces of one model."
        )
    if not counts.has_both_classes:
        raise DatasetError(
            f"{traces} gives {counts.pairs} pairs, {counts.same} of them with the same answer; both classes are needed: "
            "give more questions, or harder ones."
        )


def _scores(request: CheckRequest, judge: Candidate, pairs: list[Pair]) -> NDArray[np.float64]:
    """The raw scores of all pairs, (pairs,); those of an earlier call with the same judge and pairs are read."""
    file = request.out / _RAW_FILE
    identity = _identity(judge, pairs)
    if file.is_file():
        try:
            kept = msgspec.json.decode(file.read_bytes(), type=_Raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            kept = _Raw("", [])
        if kept.identity == identity:
            say(f"The scores of {len(pairs):,} pairs are read from {file}.")
            return np.array([np.nan if score is None else score for score in kept.scores])
    (raw,) = score_pairs(judge, EvaluationPairs(pairs=pairs), EvaluationOptions()).orders
    request.out.mkdir(parents=True, exist_ok=True)
    known = [None if np.isnan(score) else float(score) for score in raw]
    file.write_bytes(msgspec.json.encode(_Raw(identity, known)))
    return raw


def _identity(judge: Candidate, pairs: list[Pair]) -> str:
    spec = None if judge.spec is None else judge.spec.model_dump(mode="json")
    digest = hashlib.sha256(json.dumps([judge.name, spec]).encode())
    for pair in pairs:
        digest.update(f"{len(pair.new)}:{pair.question_id}\n{pair.new}\n{pair.member}\n".encode())
    return digest.hexdigest()


def _key(pair: Pair) -> tuple[str, frozenset[int]]:
    return pair.question_id, frozenset(pair.traces or ())


def _write_scores(
    request: CheckRequest, judge: Candidate, pairs: list[Pair], raw: NDArray[np.float64]
) -> None:
    """The verdicts for `deepprune-bench run --judge-scores`, without pairs that the judge could not read."""
    read = np.flatnonzero(~np.isnan(raw))
    scored = ScoredPairs.of(
        [pairs[n].question_id for n in read],
        [pairs[n].same for n in read],
        [float(raw[n]) for n in read],
    )
    fitted = _calibrated(request.calibrate, judge, scored)
    with (request.out / SCORES_FILE).open("w", encoding="utf-8") as file:
        for number, p in zip(read, fitted, strict=True):
            pair = pairs[number]
            line = {"question_id": pair.question_id, "traces": pair.traces, "p": round(float(p), 6)}
            file.write(json.dumps(line) + "\n")


def _calibrated(
    method: CalibrationMethod, judge: Candidate, scored: ScoredPairs
) -> NDArray[np.float64]:
    """Of a baseline, which has no calibration, the scores as they are."""
    return scored.scores if judge.spec is None else cross_fitted(method, scored)


def _write_calibrated(request: CheckRequest, judge: Candidate, result: JudgeResult) -> Path | None:
    if judge.spec is None or result.calibration is None:
        return None
    file = request.out / SPEC_FILE
    calibration = result.calibration.calibration
    write_spec(judge.spec.model_copy(update={"calibration": calibration}), file)
    return file
