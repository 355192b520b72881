"""The losses on a judge's two label logits: focal loss, and ranking within a question."""

import torch
from torch import Tensor
from torch.nn.functional import log_softmax, softplus

__all__ = ["focal_loss", "ranking_loss"]


def focal_loss(label_logits: Tensor, same: Tensor, *, gamma: float, alpha: float) -> Tensor:
    """-alpha_t (1 - p_t)^gamma log p_t, averaged over the pairs (arXiv 2510.08483: gamma 2.0, alpha 0.5).

    p_t is the softmax probability of the right label among the two; alpha_t is `alpha` for same-answer
    pairs and 1 - `alpha` for the others. At gamma 0 and alpha 0.5 it is half the cross entropy.

    Args:
        label_logits: (pairs, 2), the logits of the first tokens of "identical" and "not identical".
        same: (pairs,), True where the answers are the same.
        gamma: how much easy pairs are down-weighted.
        alpha: the weight of same-answer pairs, in 0..1.
    """
    log_p = log_softmax(label_logits.float(), dim=-1)  # (pairs, 2)
    log_p_true = torch.where(same, log_p[:, 0], log_p[:, 1])  # (pairs,)
    weight = torch.where(same, alpha, 1.0 - alpha)  # (pairs,)
    easy = (-torch.expm1(log_p_true)).clamp(min=0.0) if gamma else torch.ones_like(log_p_true)
    return (-weight * easy**gamma * log_p_true).mean()


def ranking_loss(label_logits: Tensor, same: Tensor, questions: Tensor) -> Tensor:
    """Mean of log(1 + exp(s_d - s_s)) over a same-answer pair s and a different one d of one question.

    s is the log-odds of "identical". This is a smooth form of the AUROC within a question, which clustering depends
    on; 0 where no question has both classes.

    Args:
        label_logits: (pairs, 2), the logits of "identical" and "not identical".
        same: (pairs,), True where the answers are the same.
        questions: (pairs,), the number of each pair's question.
    """
    log_odds = (label_logits[:, 0] - label_logits[:, 1]).float()  # (pairs,)
    margins = log_odds[:, None] - log_odds[None, :]  # (pairs, pairs)
    is_ranked = same[:, None] & ~same[None, :] & (questions[:, None] == questions[None, :])
    return (softplus(-margins) * is_ranked).sum() / is_ranked.sum().clamp(min=1)
