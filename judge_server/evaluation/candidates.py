"""The candidates of an evaluation, from their names on the command line: addresses, folders, baselines.

Every error in a name is found here, before any pair is made.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pydantic import ValidationError

from judge_server.data.fold_scores import (
    CROSS_VALIDATION_FILE,
    cut_of,
    read_scores,
    scores_of_folds,
)
from judge_server.data.fold_scores import read_record as read_record_of_folds
from judge_server.data.training_record import TrainingRecord, read_record
from judge_server.data.truncation import Truncation
from judge_server.evaluation import baselines
from judge_server.evaluation.scoring import EndpointJudge, Scorer, say, score_in_chunks
from judge_server.model_folder import RECORD_FILE, SPEC_FILE, check_model_folder
from orchestrator.client.http import parse_address
from orchestrator.config.explain import explain
from orchestrator.config.keys import JUDGE_KEY, key_from
from orchestrator.config.shipped import judge_spec
from orchestrator.core.judging import JudgeSpec
from orchestrator.errors import ConfigError
from orchestrator.settings import JudgeDialect

__all__ = ["BASELINES", "Candidate", "QueryOptions", "find_candidates"]

BASELINES = ("overlap", "words", "tfidf", "embedding")
DEFAULT_SPEC = "nano"


@dataclass(frozen=True)
class QueryOptions:
    """How judges are asked.

    `specs` is none, one for all, or one for each address and folder in order. `concurrency` and `dialect` are for
    addresses.
    """

    specs: Sequence[str]
    embedding_model: Path | None
    concurrency: int
    dialect: JudgeDialect = "auto"


@dataclass(frozen=True)
class Candidate:
    """A judge or baseline that is measured. Its scores are raw: `spec.calibrated` is still to be applied.

    `open` loads it, which may take memory, so it is called just before the candidate is measured. `spec` is None for
    a baseline, `folder` for an address or baseline, `record` for a model that was not trained here. Of a cross-validation all
    three are None, and `only_cut` is where its traces are cut.
    """

    name: str
    open: Callable[[], Scorer]
    spec: JudgeSpec | None = None
    folder: Path | None = None
    record: TrainingRecord | None = None
    only_cut: Truncation | None = None


def find_candidates(names: Sequence[str], query: QueryOptions) -> list[Candidate]:
    """The candidates in order.

    Raises:
        ConfigError: an unknown name, a folder without a model, a spec that is missing or too many.
        EndpointError: a server that cannot be asked.
    """
    if len(set(names)) < len(names):
        raise ConfigError("A --judge is named twice; name each once.")
    models = [name for name in names if name not in BASELINES]
    spec_of = dict(zip(models, _one_for_each(models, query.specs), strict=True))
    return [
        _baseline(name, query) if name in BASELINES else _model(name, spec_of[name], query)
        for name in names
    ]


def _one_for_each(models: Sequence[str], specs: Sequence[str]) -> Sequence[str | None]:
    if not specs:
        return [None] * len(models)
    if len(specs) == 1 and models:
        return [*specs] * len(models)
    if len(specs) != len(models):
        raise ConfigError(
            f"{len(specs)} --spec for {len(models)} judges; give one for all, or one for each in order."
        )
    return specs


def _baseline(name: str, query: QueryOptions) -> Candidate:
    if name == "embedding":
        from judge_server.evaluation.embedding import cosines, find_encoder

        score: Scorer = partial(cosines, find_encoder(query.embedding_model))
    else:
        score = {
            "overlap": baselines.overlap,
            "words": baselines.words,
            "tfidf": baselines.tfidf,
        }[name]
    return Candidate(name, lambda: score)


def _model(name: str, spec: str | None, query: QueryOptions) -> Candidate:
    if name.startswith(("http://", "https://")):
        return _endpoint(name, judge_spec(spec or DEFAULT_SPEC), query)
    folder = Path(name)
    if folder.is_file():
        check_model_folder(folder)
    if not folder.is_dir():
        raise ConfigError(
            f"There is no judge '{name}'; give an address that begins with http://, the folder of a model or of a "
            f"cross-validation, or a baseline: {', '.join(BASELINES)}."
        )
    if (folder / CROSS_VALIDATION_FILE).is_file():
        return _cross_validated(name, folder, spec)
    return _folder(name, folder, spec)


def _endpoint(url: str, spec: JudgeSpec, query: QueryOptions) -> Candidate:
    parse_address(url)
    judge = EndpointJudge(
        url, spec, key_from(os.environ, JUDGE_KEY), query.concurrency, query.dialect
    )
    found = judge.probe()
    say(f"{url}: {found.model}, asked by {found.dialect} as judge {spec.name}")
    return Candidate(url, lambda: judge.scores, spec)


def _cross_validated(name: str, folder: Path, given_spec: str | None) -> Candidate:
    if given_spec is not None:
        raise ConfigError(
            f"{name} holds scores of a cross-validation, so --spec does not apply to it; remove it."
        )
    record = read_record_of_folds(folder)
    scores = read_scores(folder)
    return Candidate(
        name, lambda: partial(scores_of_folds, folder, scores), only_cut=cut_of(record, folder)
    )


def _folder(name: str, folder: Path, given_spec: str | None) -> Candidate:
    check_model_folder(folder)
    record = read_record(folder)
    spec = _spec_of(folder, given_spec, record)

    def load() -> Scorer:
        from judge_server.models.load import load_judge

        judge = load_judge(folder, spec.model_copy(update={"calibration": None}))
        return partial(score_in_chunks, judge.scores)

    return Candidate(name, load, spec, folder, record)


def _spec_of(folder: Path, given: str | None, record: TrainingRecord | None) -> JudgeSpec:
    """The spec given, else the one beside the weights, else the one it was trained with, else nano."""
    if given is not None:
        return judge_spec(given)
    if (folder / SPEC_FILE).is_file():
        return judge_spec(str(folder / SPEC_FILE))
    if record is not None and record.judge is not None:
        try:
            return JudgeSpec.model_validate(record.judge)
        except ValidationError as error:
            raise ConfigError(explain(error, JudgeSpec, {}, f"{folder}'s {RECORD_FILE}")) from None
    say(f"{folder} has no {SPEC_FILE}: asked as judge {DEFAULT_SPEC}; name another with --spec.")
    return judge_spec(DEFAULT_SPEC)
