"""A judge that is an encoder with a head of two labels: 0 is "identical", 1 is "not identical".

The rule, as in the client's `classify` dialect: the pair is one text, `query + item` of `pair_prompt`,
tokenised at once with the tokenizer's own special tokens, and p(identical) is the first of the two
softmaxed probabilities.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from judge_server.data.pairs import Pair
from judge_server.models.base import Judgement, LocalJudge
from judge_server.models.packing import Batch, Pack, check_length
from orchestrator.core.judging import JudgeSpec, pair_prompt

__all__ = ["ClassifierJudge", "ClassifierNetwork"]


class ClassifierNetwork(nn.Module):
    """Label logits from a sequence-classification model."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self.compiled: Callable[..., Any] | None = None

    def forward(self, batch: Batch) -> Judgement:
        """The judgement of every pair of the batch."""
        model = self.compiled if self.training and self.compiled else self.model
        logits = model(input_ids=batch.ids, attention_mask=batch.is_token.long()).logits
        return Judgement(logits[batch.rows])  # (pairs, 2)


class ClassifierJudge(LocalJudge):
    """A sequence-classification model with its tokenizer."""

    network: ClassifierNetwork

    def __init__(self, spec: JudgeSpec, model: Any, tokenizer: Any) -> None:
        model.config.pad_token_id = tokenizer.pad_token_id
        self.spec = spec
        self.network = ClassifierNetwork(model)
        self.tokenizer = tokenizer
        positions = getattr(model.config, "max_position_embeddings", None)
        self.context = int(min(positions or 2**31, tokenizer.model_max_length))

    @property
    def model(self) -> Any:
        """The classification model."""
        return self.network.model

    def packs(
        self, pairs: Sequence[Pair], *, longest: int | None, leave_out_long: bool = False
    ) -> list[Pack]:
        """See `LocalJudge.packs`; an encoder attends both ways, so no pairs share a pack and `longest` is unused."""
        texts: list[str] = []
        for pair in pairs:
            prompt = pair_prompt(
                self.spec, question=pair.question, new=pair.new, member=pair.member
            )
            texts.append(prompt.query + prompt.item)
        encoded = self.tokenizer(texts, verbose=False)["input_ids"] if texts else []
        packs = []
        for number, (pair, ids) in enumerate(zip(pairs, encoded, strict=True)):
            if leave_out_long and len(ids) > self.context:
                continue
            check_length(pair, len(ids), self.context)
            packs.append(Pack([], [ids], [(number, 0)]))
        return packs

    def compile(self) -> None:
        """See `LocalJudge.compile`."""
        self.network.compiled = torch.compile(self.model.forward, dynamic=True)
