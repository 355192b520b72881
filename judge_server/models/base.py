"""What every judge on this machine can do: pairs to packs of token ids, packs to label logits, pairs to scores.

The rule: training and scoring take the same way through `packs`, `collate` and `network`, so a judge is
measured as it was trained.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from judge_server.data.pairs import Pair
from judge_server.models.packing import Batch, Pack, collate, make_batches
from orchestrator.core.judging import JudgeSpec

__all__ = ["Judgement", "LocalJudge"]


class Judgement(NamedTuple):
    """What a network says of a batch.

    logits: (pairs, 2), of "identical" and "not identical". reading: the loss of foretelling the members,
    a scalar, where it was asked for.
    """

    logits: Tensor
    reading: Tensor | None = None


class LocalJudge(ABC):
    """Weights, tokenizer and how they are asked; `context` is the longest pair in tokens."""

    spec: JudgeSpec
    network: nn.Module
    tokenizer: Any
    context: int

    @property
    @abstractmethod
    def model(self) -> Any:
        """The transformers model inside the network."""

    @abstractmethod
    def packs(self, pairs: Sequence[Pair], *, longest: int | None) -> list[Pack]:
        """The pairs as token ids, several in a pack of at most `longest` tokens where that can be.

        Raises ConfigError for a pair longer than the context.
        """

    @abstractmethod
    def compile(self) -> None:
        """Lets torch compile what training computes; scoring stays as it is."""

    def collate(self, packs: Sequence[Pack]) -> Batch:
        """The packs as one padded batch on the CPU."""
        return collate(packs, padding_id=int(self.tokenizer.pad_token_id or 0))

    @torch.inference_mode()
    def scores(self, pairs: Sequence[Pair], *, tokens_per_batch: int = 8_192) -> list[float]:
        """p(identical) for each pair, in order, without the spec's calibration.

        Raises ConfigError for a pair longer than the context.
        """
        self.network.eval()
        device = next(self.network.parameters()).device
        scores = torch.zeros(len(pairs))
        packed = self.packs(pairs, longest=min(self.context, tokens_per_batch))
        for packs in make_batches(packed, tokens=tokens_per_batch):
            batch = self.collate(packs)
            logits = self.network(batch.to(device)).logits  # (pairs of the batch, 2)
            scores[batch.pairs] = logits.float().softmax(-1)[:, 0].cpu()
        return scores.tolist()
