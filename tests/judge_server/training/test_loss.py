"""The focal loss, by its numbers."""

import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from judge_server.training.loss import focal_loss, ranking_loss

pytestmark = pytest.mark.slow  # imports torch

LOGITS = torch.tensor([[2.0, -1.0], [0.3, 0.9], [-4.0, 4.0], [0.0, 0.0]])
SAME = torch.tensor([True, True, False, False])
TARGETS = torch.tensor([0, 0, 1, 1])


def test_at_gamma_0_and_alpha_a_half_it_is_half_the_cross_entropy() -> None:
    loss = focal_loss(LOGITS, SAME, gamma=0.0, alpha=0.5)
    assert torch.allclose(loss, 0.5 * cross_entropy(LOGITS, TARGETS), atol=1e-7)


def test_the_gradients_agree_with_cross_entropy_too() -> None:
    logits = LOGITS.clone().requires_grad_()
    focal_loss(logits, SAME, gamma=0.0, alpha=0.5).backward()
    other = LOGITS.clone().requires_grad_()
    (0.5 * cross_entropy(other, TARGETS)).backward()
    assert logits.grad is not None
    assert other.grad is not None
    assert torch.allclose(logits.grad, other.grad, atol=1e-7)


def test_an_undecided_pair_has_the_loss_of_the_formula() -> None:
    loss = focal_loss(torch.zeros(1, 2), torch.tensor([True]), gamma=2.0, alpha=0.5)
    assert float(loss) == pytest.approx(0.5 * 0.25 * math.log(2.0))


def test_easy_pairs_are_weighed_down() -> None:
    easy = focal_loss(torch.tensor([[4.0, 0.0]]), torch.tensor([True]), gamma=2.0, alpha=0.5)
    plain = focal_loss(torch.tensor([[4.0, 0.0]]), torch.tensor([True]), gamma=0.0, alpha=0.5)
    p = 1.0 / (1.0 + math.exp(-4.0))
    assert float(easy / plain) == pytest.approx((1.0 - p) ** 2, rel=1e-4)


def test_alpha_weighs_the_classes() -> None:
    logits = torch.zeros(1, 2)
    same = focal_loss(logits, torch.tensor([True]), gamma=0.0, alpha=0.25)
    different = focal_loss(logits, torch.tensor([False]), gamma=0.0, alpha=0.25)
    assert float(different / same) == pytest.approx(3.0)


def test_a_certain_pair_gives_finite_gradients() -> None:
    logits = torch.tensor([[80.0, -80.0]], requires_grad=True)
    focal_loss(logits, torch.tensor([True]), gamma=2.0, alpha=0.5).backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def log_odds(*values: float) -> torch.Tensor:
    return torch.tensor([[value, 0.0] for value in values])


def test_ranking_compares_each_same_answer_pair_with_each_other_pair_of_its_question() -> None:
    logits = log_odds(2.0, -1.0, 0.5, 9.0)
    same = torch.tensor([True, False, False, True])
    questions = torch.tensor([0, 0, 0, 1])
    expected = (math.log1p(math.exp(-3.0)) + math.log1p(math.exp(-1.5))) / 2
    assert float(ranking_loss(logits, same, questions)) == pytest.approx(expected)


def test_ranking_of_questions_with_one_class_is_0_and_has_no_gradient() -> None:
    logits = log_odds(2.0, -1.0).requires_grad_()
    loss = ranking_loss(logits, torch.tensor([True, False]), torch.tensor([0, 1]))
    loss.backward()
    assert loss.item() == 0.0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_ranking_lifts_the_same_answer_pair_over_the_other() -> None:
    logits = log_odds(0.0, 0.0).requires_grad_()
    ranking_loss(logits, torch.tensor([True, False]), torch.tensor([3, 3])).backward()
    assert logits.grad is not None
    assert logits.grad[0, 0] < 0 < logits.grad[1, 0]  # a step goes against the gradient
