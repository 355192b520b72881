"""The common part of every judge on this machine: pairs to packs of token ids, packs to label logits, to scores.

Training and scoring both use `packs`, `collate` and `network`, so a judge is measured as it was trained.
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
    """The output of a network for a batch.

    logits: (pairs, 2), of "identical" and "not identical". reading: the language-model loss on the members, a
    scalar, None where it was not asked for.
    """

    logits: Tensor
    reading: Tensor | None = None


class LocalJudge(ABC):
    """Weights, tokenizer and spec of a judge; `context` is the length of the longest pair, in tokens."""

    spec: JudgeSpec
    network: nn.Module
    tokenizer: Any
    context: int

    @property
    @abstractmethod
    def model(self) -> Any:
        """The transformers model inside the network."""

    @abstractmethod
    def packs(
        self, pairs: Sequence[Pair], *, longest: int | None, leave_out_long: bool = False
    ) -> list[Pack]:
        """The pairs as token ids, several in a pack of at most `longest` tokens where they share a query.

        A pair longer than the context raises ConfigError, or is in no pack with `leave_out_long`.
        """

    def prepare(self, pairs: Sequence[Pair], width: int) -> None:  # noqa: B027
        """Whatever is fitted to the training pairs before the first step; `width` is that of a head on vectors."""

    @abstractmethod
    def compile(self) -> None:
        """Compiles the model for training with torch; scoring is not compiled."""

    def collate(self, packs: Sequence[Pack]) -> Batch:
        """The packs as one padded batch on the CPU."""
        return collate(packs, padding_id=int(self.tokenizer.pad_token_id or 0))

    @torch.inference_mode()
    def scores(self, pairs: Sequence[Pair], *, tokens_per_batch: int = 8_192) -> list[float]:
        """p(identical) for each pair, in order, without the spec's calibration; nan for one longer than the context."""
        self.network.eval()
        device = next(self.network.parameters()).device
        scores = torch.full((len(pairs),), torch.nan)
        longest = min(self.context, tokens_per_batch)
        packed = self.packs(pairs, longest=longest, leave_out_long=True)
        for packs in make_batches(packed, tokens=tokens_per_batch):
            batch = self.collate(packs)
            logits = self.network(batch.to(device)).logits  # (pairs of the batch, 2)
            scores[batch.pairs] = logits.float().softmax(-1)[:, 0].cpu()
        return scores.tolist()
