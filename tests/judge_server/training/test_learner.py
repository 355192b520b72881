"""A step's loss and gradient are those of all its pairs, however they are cut into batches."""

import math
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator

from judge_server.data.pairs import Pair
from judge_server.models.load import load_judge
from judge_server.training.learner import Learner
from judge_server.training.loss import focal_loss
from judge_server.training.settings import TrainSettings
from orchestrator.core.judging import JudgeSpec

pytestmark = pytest.mark.slow  # imports torch

PAIRS = [
    Pair(f"q{n % 3}", "How many?", "so " * (n + 1), "maybe " * (7 - n), same=n % 2 == 0)
    for n in range(7)
]
SETTINGS = TrainSettings(
    epochs=2, learning_rate=1.0, adam_epsilon=1.0, bf16=False, packing=False, warmup_share=0.0
)
"""With so large an epsilon AdamW moves a weight by its gradient, not by the gradient's sign."""


def after_a_step(
    folder: Path, spec: JudgeSpec, **changed: object
) -> tuple[float, dict[str, torch.Tensor]]:
    """The loss of one step over all pairs, and the weights after it."""
    settings = SETTINGS.model_copy(update=changed)
    judge = load_judge(folder, spec)
    learner = Learner(Accelerator(), judge, settings, PAIRS)
    loss = learner.step(1, learner.plan.epochs[0][0])
    assert len(learner.plan.epochs[0]) == 1
    return loss, learner.weights()


def same_weights(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.allclose(one[name], other[name], atol=1e-6) for name in one | other)


@pytest.mark.parametrize("weights", [{}, {"gamma": 0.0, "alpha": 0.3}])
def test_a_step_in_batches_is_a_step_in_one(
    folder: Path, spec: JudgeSpec, weights: dict[str, float]
) -> None:
    whole_loss, whole = after_a_step(folder, spec, **weights)
    cut_loss, cut = after_a_step(folder, spec, batch_pairs=2, batches_per_step=4, **weights)
    assert cut_loss == pytest.approx(whole_loss, rel=1e-5)
    assert same_weights(cut, whole)


def test_a_packed_step_is_an_unpacked_one(folder: Path, spec: JudgeSpec) -> None:
    loss, weights = after_a_step(folder, spec)
    packed_loss, packed = after_a_step(folder, spec, packing=True)
    assert packed_loss == pytest.approx(loss, rel=1e-5)
    assert same_weights(packed, weights)


def test_recomputed_activations_change_nothing(folder: Path, spec: JudgeSpec) -> None:
    loss, weights = after_a_step(folder, spec)
    judge = load_judge(folder, spec)
    judge.model.gradient_checkpointing_enable({"use_reentrant": False})
    learner = Learner(Accelerator(), judge, SETTINGS, PAIRS)
    assert learner.step(1, learner.plan.epochs[0][0]) == pytest.approx(loss, rel=1e-6)
    assert same_weights(learner.weights(), weights)


def test_the_loss_is_the_focal_loss_over_all_pairs_of_the_step(
    folder: Path, spec: JudgeSpec
) -> None:
    loss, _ = after_a_step(folder, spec, batch_pairs=3, batches_per_step=3, reading_weight=0.5)
    p = torch.tensor(load_judge(folder, spec).scores(PAIRS))
    logits = torch.stack([p.log(), (1 - p).log()], dim=-1)
    same = torch.tensor([pair.same for pair in PAIRS])
    assert loss == pytest.approx(float(focal_loss(logits, same, gamma=2.0, alpha=0.5)), rel=1e-4)


@pytest.mark.parametrize("weight", ["reading_weight", "ranking_weight"])
def test_the_other_losses_move_the_weights_and_not_the_reported_loss(
    folder: Path, spec: JudgeSpec, weight: str
) -> None:
    loss, without = after_a_step(folder, spec)
    same_loss, moved = after_a_step(folder, spec, **{weight: 0.5})
    assert same_loss == pytest.approx(loss, rel=1e-6)
    assert not same_weights(without, moved)


def test_the_learner_scores_as_the_judge_does(folder: Path, spec: JudgeSpec) -> None:
    judge = load_judge(folder, spec)
    expected = judge.scores(PAIRS)
    learner = Learner(Accelerator(), judge, TrainSettings(bf16=False, batch_pairs=2), PAIRS)
    assert learner.scores(PAIRS) == pytest.approx(expected, abs=1e-6)


def test_the_learning_rate_warms_up_and_falls_to_nothing(folder: Path, spec: JudgeSpec) -> None:
    settings = TrainSettings(
        epochs=10, learning_rate=1.0, warmup_share=0.2, batch_pairs=1, packing=False, bf16=False
    )
    learner = Learner(Accelerator(), load_judge(folder, spec), settings, PAIRS)
    rates = [learner.learning_rate]
    for _ in range(learner.plan.steps):
        learner.schedule.optimizer.step()
        learner.schedule.step()
        rates.append(learner.learning_rate)
    warmup = math.ceil(0.2 * 70)
    assert learner.plan.steps == 70
    assert rates[: warmup + 1] == pytest.approx([n / warmup for n in range(warmup + 1)])
    assert rates[(70 + warmup) // 2] == pytest.approx(0.5)
    assert rates[-1] == pytest.approx(0.0, abs=1e-9)
