"""One judge for each fold of the questions, trained and scored in one process: `deepprune-judge cross-validate`.

Every question is scored by a judge that never saw it, so the scores of all folds together have the intervals of all
questions. Weights are not kept: `deepprune-judge train` makes the judge, and this says what to expect of it. Each fold is
trained as `train` does it, on all questions of the other folds: `validation_share` and `test_share` are not used, and the
weights of the last epoch are scored.

The rule: a fold's scores are written as soon as it is done, and a command that is started again goes on with the next.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
import transformers
from accelerate import Accelerator

from judge_server.data.fold_scores import FoldScores, PairScore, ScoreFolder, read_scores
from judge_server.data.labels import UNDECIDED, AnswerEquality
from judge_server.data.pairs import Pair, PairRules, pairs_of_questions
from judge_server.data.splits import Fold, assign_splits
from judge_server.data.traces import group_by_question, read_all_traces
from judge_server.data.truncation import Truncation, TruncationRules, find_token_ends
from judge_server.evaluation.scoring import say
from judge_server.metrics import ScoredPairs, auroc, auroc_within
from judge_server.models.base import LocalJudge
from judge_server.training.data import pairs_of_epoch
from judge_server.training.job import TrainingJob
from judge_server.training.learner import Learner
from judge_server.training.train import load_initial_judge, make_accelerator
from orchestrator.errors import ConfigError, DatasetError
from orchestrator.terminal.progress import Progress

__all__ = ["CrossValidation", "cross_validate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossValidation:
    """A training that is made once for each fold, and the pairs that it is measured on.

    `cut` is where traces are cut, in training and test. `train_model` names the model whose traces train the judge; all
    models' traces test it. `questions` is the number that each fold trains on, None for all. `test_pairs` is the cap for
    a question and model.
    """

    job: TrainingJob
    folds: int
    cut: Truncation
    train_model: str | None = None
    questions: int | None = None
    test_pairs: int = 100
    both_orders: bool = False

    def record(self) -> dict[str, Any]:
        """Everything that decides the scores, as JSON."""
        return {
            **self.job.identity(),
            "init": Path(self.job.init).name,
            "folds": self.folds,
            "cut": {"count": self.cut.count, "unit": self.cut.unit},
            "train_model": self.train_model,
            "questions": self.questions,
            "pairs_per_question": self.test_pairs,
            "both_orders": self.both_orders,
        }


class _Data(NamedTuple):
    """The pairs of all questions: those for training and those for testing."""

    questions: list[str]
    train: list[Pair]
    test: list[Pair]


def cross_validate(asked: CrossValidation) -> str:
    """Trains and scores fold after fold; returns one line with the figures of all.

    Raises:
        ConfigError: a setting, the model or the folder does not fit.
        DatasetError: the data cannot be used.
    """
    accelerator = make_accelerator(asked.job)
    if accelerator.num_processes > 1:
        raise ConfigError(
            "Cross-validation runs in one process; start it without accelerate launch."
        )
    folder = ScoreFolder(asked.job.out, asked.record())
    data = _read_pairs(asked)
    for fold in range(folder.begin(), asked.folds):
        folder.add(_one_fold(asked, data, fold, accelerator))
        latest = [line for line in read_scores(asked.job.out) if line.fold == fold]
        say(f"Fold {fold}: {_figures(latest)}")
    return f"{asked.job.out}: {_figures(read_scores(asked.job.out))}"


def _read_pairs(asked: CrossValidation) -> _Data:
    """The pairs of every question, drawn as `train` and `evaluate` draw them."""
    job = asked.job
    groups = group_by_question(read_all_traces(job.source.traces))
    rules = PairRules(
        truncation=TruncationRules(
            truncation=asked.cut,
            token_ends=find_token_ends(asked.cut, job.source.tokenizer),
            trust_answer_class=True,
        ),
        pairs_per_question=job.settings.pairs_per_question,
        keep_trivial=job.settings.keep_trivial,
        across_models=job.settings.across_models,
    )
    test_rules = replace(rules, pairs_per_question=asked.test_pairs, across_models=False)
    seed = job.settings.seed
    with AnswerEquality() as equal:
        train = pairs_of_questions(groups.values(), rules, equal=equal, seed=seed).pairs
        drawn = pairs_of_questions(groups.values(), test_rules, equal=equal, seed=seed)
    if drawn.counts.undecided:
        say(f"{drawn.counts.undecided:,} pairs left out: {UNDECIDED}.")
    if asked.train_model is not None:
        models = sorted({pair.model for pair in train})
        train = [pair for pair in train if pair.model == asked.train_model]
        if not train:
            raise DatasetError(
                f"No pairs are of the model {asked.train_model}; name one of {', '.join(models)} with --train-model."
            )
    return _Data(list(groups), train, drawn.pairs)


def _one_fold(
    asked: CrossValidation, data: _Data, number: int, accelerator: Accelerator
) -> FoldScores:
    """A judge trained without the fold's questions, and its scores of their pairs."""
    settings = asked.job.settings
    split = assign_splits(
        data.questions,
        validation=0.0,
        test=0.0,
        seed=settings.seed,
        fold=Fold(number, asked.folds),
    )
    train = _of_questions(
        [pair for pair in data.train if split[pair.question_id] == "train"], asked.questions
    )
    test = [pair for pair in data.test if split[pair.question_id] == "test"]
    if len({pair.same for pair in train}) < 2:
        raise DatasetError(
            f"The training pairs of fold {number} ({len(train)}) are not of both classes; give traces of more questions."
        )
    judge = load_initial_judge(asked.job)
    judge.prepare(train, settings.head_width)
    learner = Learner(accelerator, judge, settings, pairs_of_epoch(train, settings))
    began = time.monotonic()
    steps = _train(learner, number)
    trained = time.monotonic()
    orders = [test, [pair.swapped() for pair in test]] if asked.both_orders else [test]
    scores = [learner.scores(pairs) for pairs in orders]
    ended = time.monotonic()
    shown = settings.epochs * sum(
        len(one.pairs) for step in learner.plan.epochs[0] for batch in step for one in batch
    )
    found = FoldScores(
        fold=number,
        pairs=test,
        scores=scores[0],
        swapped=scores[1] if asked.both_orders else None,
        figures={
            "questions": len({pair.question_id for pair in train}),
            "training_pairs": len(train),
            "different": sum(not pair.same for pair in train),
            "shown": shown,
            "steps": steps,
            "tokens": settings.epochs * learner.tokens,
            "training_seconds": round(trained - began, 2),
            "scored": len(orders) * len(test),
            "scoring_seconds": round(ended - trained, 2),
            "device": _device_name(accelerator.device),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        },
    )
    _free(accelerator, judge)
    return found


def _train(learner: Learner, fold: int) -> int:
    plan = learner.plan
    with Progress("steps", plan.steps, title=f"fold {fold}") as progress:
        for epoch in range(len(plan.epochs)):
            for number, batches in plan.left(epoch, done=0):
                loss = learner.step(number, batches)
                progress.advance(loss=f"{loss:.4f}")
    return plan.steps


def _of_questions(pairs: Sequence[Pair], questions: int | None) -> list[Pair]:
    """The pairs of the first questions that have pairs, in the order of the file; of all with None."""
    if questions is None:
        return list(pairs)
    kept = set(list(dict.fromkeys(pair.question_id for pair in pairs))[:questions])
    return [pair for pair in pairs if pair.question_id in kept]


def _free(accelerator: Accelerator, judge: LocalJudge) -> None:
    judge.network.to("cpu")
    accelerator.free_memory()


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _figures(scores: Sequence[PairScore]) -> str:
    scored = ScoredPairs.of(
        [line.question for line in scores],
        [line.same for line in scores],
        [line.score for line in scores],
    )
    return (
        f"{len(scored):,} pairs of {len(set(scored.questions))} questions, AUROC {auroc(scored):.3f}, within a question "
        f"{auroc_within(scored):.3f}"
    )
