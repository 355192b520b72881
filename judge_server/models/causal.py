"""A judge that is a language model: its score is the softmax over the two labels' first tokens."""

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
    """Label logits from a causal language model; other logits are computed for the reading loss only."""

    def __init__(self, model: Any, label_ids: tuple[int, int]) -> None:
        super().__init__()
        self.model = model
        self.label_ids = label_ids
        self.compiled: Callable[..., Any] | None = None

    def forward(self, batch: Batch, reading: bool = False) -> Judgement:
        """The judgement of every pair of the batch, with the reading loss if `reading`."""
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

    The mean over tokens, in nats. A model that predicts the member from the new trace has found where they match.
    hidden: (packs, seq, hidden).
    """
    is_target = batch.next_ids != IGNORED  # (packs, seq)
    logits = head(hidden[is_target])  # (targets, vocabulary)
    return cross_entropy(logits.float(), batch.next_ids[is_target])


class CausalJudge(LocalJudge):
    """A causal language model with its tokenizer.

    Raises ConfigError if both labels begin with the same token, or if the model transforms its logits after the
    last layer in a way that is not supported here.
    """

    network: CausalNetwork

    def __init__(self, spec: JudgeSpec, model: Any, tokenizer: Any) -> None:
        config = model.config.get_text_config()
        _check_plain_logits(config)
        self.spec = spec
        self.network = CausalNetwork(model, _label_ids(tokenizer, spec))
        self.tokenizer = tokenizer
        self.context = int(config.max_position_embeddings) - 1  # one token is for the label

    @property
    def model(self) -> Any:
        """The language model."""
        return self.network.model

    def encode(self, text: str) -> list[int]:
        """Token ids of a piece of a prompt, without special tokens."""
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False)
        return ids

    def packs(
        self, pairs: Sequence[Pair], *, longest: int | None, leave_out_long: bool = False
    ) -> list[Pack]:
        """See `LocalJudge.packs`."""
        return make_packs(
            pairs,
            self.spec,
            self.encode,
            context=self.context,
            longest=longest,
            leave_out_long=leave_out_long,
        )

    def compile(self) -> None:
        """See `LocalJudge.compile`."""
        self.network.compiled = torch.compile(self.model.base_model.forward, dynamic=True)


def _label_ids(tokenizer: Any, spec: JudgeSpec) -> tuple[int, int]:
    """The labels' first tokens. Raises ConfigError where they are unknown or the same."""
    first = [tokenizer.encode(label, add_special_tokens=False)[:1] for label in spec.labels]
    for label, ids in zip(spec.labels, first, strict=True):
        if not ids or ids[0] == tokenizer.unk_token_id:
            raise ConfigError(
                f"This tokenizer has no token for the label {label!r} of judge {spec.name}; choose other "
                "labels in the judge's YAML."
            )
    (identical,), (different,) = first
    if identical == different:
        raise ConfigError(
            f"The labels of judge {spec.name}, {spec.labels[0]!r} and {spec.labels[1]!r}, begin with the same "
            "token; choose labels that differ in their first token."
        )
    return identical, different


def _check_plain_logits(config: Any) -> None:
    for name in ("final_logit_softcapping", "logits_scaling", "logit_scale"):
        if getattr(config, name, None) not in (None, 1.0):
            raise ConfigError(
                f"This model transforms its logits ({name}), which is not supported; choose another model."
            )
