"""How well a judge tells same-answer pairs from the others.

The rule: with a judge that was trained here, only questions that training never saw are used (its
training.json tells the split), unless the caller says otherwise.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from judge_server.metrics import ScoredPairs, auroc, auroc_interval, auroc_within, tnr_at_fnr
from judge_server.model import load_judge
from judge_server.pairs import Pair, PairCounts, PairRules, make_pairs, same_text, split_of
from judge_server.traces import group_by_question, read_traces
from orchestrator.config import judge_spec
from orchestrator.core.judging import JudgeSpec
from orchestrator.errors import ConfigError, DatasetError

__all__ = ["Arguments", "evaluate"]


@dataclass(frozen=True, slots=True)
class Arguments:
    """The command line."""

    config: Path
    traces: Path
    judge: Path
    split: str
    words: int | None
    pairs_per_question: int
    seed: int
    keep_trivial: bool


def evaluate(arguments: Arguments) -> dict[str, Any]:
    """The line that is printed; numbers are rounded to four places."""
    spec = judge_spec(str(arguments.config))
    pairs, counts = held_out_pairs(arguments, spec)
    judge = load_judge(arguments.judge, spec)
    scored = ScoredPairs.of(
        [pair.question_id for pair in pairs], [pair.same for pair in pairs], judge.scores(pairs)
    )
    low, high = auroc_interval(scored, seed=arguments.seed)
    figures = {
        "auroc": auroc(scored),
        "auroc_low": low,
        "auroc_high": high,
        "auroc_within": auroc_within(scored),
        "tnr_at_fnr20": tnr_at_fnr(scored, 0.2),
        "same_share": counts.same / counts.pairs,
    }
    return {
        "judge": str(arguments.judge),
        **{name: round(value, 4) for name, value in figures.items()},
        "questions": len(set(scored.questions)),
        **counts.as_dict(),
    }


def held_out_pairs(arguments: Arguments, spec: JudgeSpec) -> tuple[list[Pair], PairCounts]:
    """The pairs to score. Raises DatasetError unless they are of both classes."""
    rules = PairRules(
        words=arguments.words or spec.segment_words,
        pairs_per_question=arguments.pairs_per_question,
        keep_trivial=arguments.keep_trivial,
    )
    groups = group_by_question(read_traces(arguments.traces))
    wanted = [rows for name, rows in groups.items() if _is_wanted(name, arguments)]
    pairs, counts = make_pairs(wanted, rules, equal=same_text, rng=Random(arguments.seed))
    if not 0 < counts.same < counts.pairs:
        raise DatasetError(
            f"{arguments.traces} gives {counts.pairs} pairs, {counts.same} of them with the same answer; "
            "both classes are needed: give more questions, or --split all."
        )
    return pairs, counts


def _is_wanted(question_id: str, arguments: Arguments) -> bool:
    if arguments.split == "all":
        return True
    record = arguments.judge / "training.json"
    if not record.is_file():
        raise ConfigError(f"{record} is missing, so the split is unknown; add --split all.")
    settings = json.loads(record.read_text())["settings"]
    split = split_of(
        question_id,
        validation=settings["validation_share"],
        test=settings["test_share"],
        seed=settings["seed"],
    )
    return split == arguments.split
