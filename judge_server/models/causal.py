"""A judge that is a language model: its score is read where it would write the label."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, linear

from judge_server.data.pairs import Pair
from judge_server.models.base import Judgement, LocalJudge
from judge_server.models.packing import IGNORED, Batch, Pack, make_packs
from orchestrator.core.judging import JudgeSpec
from orchestrator.errors import ConfigError

__all__ = ["CausalJudge", "CausalNetwork"]


class CausalNetwork(nn.Module):
    """Label logits from a causal language model; no other logits are computed unless they are learned."""

    def __init__(self, model: Any, label_ids: tuple[int, int]) -> None:
        super().__init__()
        self.model = model
        self.label_ids = label_ids
        self.compiled: Callable[..., Any] | None = None

    def forward(self, batch: Batch, reading: bool = False) -> Judgement:
        """The judgement of every pair of the batch, with the reading loss if asked."""
        body = self.compiled if self.training and self.compiled else self.model.base_model
        hidden = body(
            input_ids=batch.ids,
            position_ids=batch.positions,
            attention_mask=batch.mask,
            use_cache=False,
        ).last_hidden_state  # (packs, seq, hidden)
        last = hidden[batch.rows, batch.ends]  # (pairs, hidden)
        head, labels = self.model.get_output_embeddings(), list(self.label_ids)
        bias = None if head.bias is None else head.bias[labels]
        logits = linear(last, head.weight[labels], bias)  # (pairs, 2)
        return Judgement(logits, reading_loss(head, hidden, batch) if reading else None)


def reading_loss(head: Callable[[Tensor], Tensor], hidden: Tensor, batch: Batch) -> Tensor:
    """Cross entropy of each member's next token, given the new trace and the member so far.

    A model that foretells what the member writes from what the new trace wrote has found the matching
    places; the mean over tokens in nats. hidden: (packs, seq, hidden).
    """
    is_learned = batch.next_ids != IGNORED  # (packs, seq)
    logits = head(hidden[is_learned])  # (learned, vocabulary)
    return cross_entropy(logits.float(), batch.next_ids[is_learned])


class CausalJudge(LocalJudge):
    """A causal language model with its tokenizer.

    Raises ConfigError if the tokenizer cannot tell the labels apart, or if the model changes its logits
    after the last layer in a way that is not followed here.
    """

    network: CausalNetwork

    def __init__(self, spec: JudgeSpec, model: Any, tokenizer: Any) -> None:
        config = model.config.get_text_config()
        _check_plain_logits(config)
        self.spec = spec
        self.network = CausalNetwork(model, _label_ids(tokenizer, spec))
        self.tokenizer = tokenizer
        self.context = int(config.max_position_embeddings) - 1  # one is kept for the label

    @property
    def model(self) -> Any:
        """The language model."""
        return self.network.model

    def encode(self, text: str) -> list[int]:
        """Token ids of a part of a prompt, with nothing added."""
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False)
        return ids

    def packs(self, pairs: Sequence[Pair], *, longest: int | None) -> list[Pack]:
        """See `LocalJudge.packs`."""
        return make_packs(pairs, self.spec, self.encode, context=self.context, longest=longest)

    def compile(self) -> None:
        """See `LocalJudge.compile`."""
        self.network.compiled = torch.compile(self.model.base_model.forward, dynamic=True)


def _label_ids(tokenizer: Any, spec: JudgeSpec) -> tuple[int, int]:
    """The labels' first tokens. Raises ConfigError where they cannot be told apart."""
    first = [tokenizer.encode(label, add_special_tokens=False)[:1] for label in spec.labels]
    for label, ids in zip(spec.labels, first, strict=True):
        if not ids or ids[0] == tokenizer.unk_token_id:
            raise ConfigError(
                f"This tokenizer has no token for the label {label!r} of judge {spec.name}; choose labels "
                "that it knows, in the judge's YAML."
            )
    (identical,), (different,) = first
    if identical == different:
        raise ConfigError(
            f"This tokenizer starts the labels of judge {spec.name}, {spec.labels[0]!r} and "
            f"{spec.labels[1]!r}, alike; choose labels that differ in their first token."
        )
    return identical, different


def _check_plain_logits(config: Any) -> None:
    for name in ("final_logit_softcapping", "logits_scaling", "logit_scale"):
        if getattr(config, name, None) not in (None, 1.0):
            raise ConfigError(
                f"This model bends its logits ({name}), which judges here do not follow; choose another model."
            )
