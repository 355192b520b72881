"""A judge on this machine: a causal language model with its tokenizer, and p(identical) for pairs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer

from judge_server.packing import Batch, collate, make_batches, make_packs
from judge_server.pairs import Pair
from orchestrator.core.judging import JudgeSpec
from orchestrator.errors import ConfigError

__all__ = ["LocalJudge", "load_judge"]


@dataclass(frozen=True)
class LocalJudge:
    """Weights, tokenizer and how they are asked; `label_ids` are the labels' first tokens."""

    spec: JudgeSpec
    model: Any
    tokenizer: Any
    label_ids: tuple[int, int]

    def encode(self, text: str) -> list[int]:
        """Token ids of a part of a prompt, with nothing added."""
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False)
        return ids

    @property
    def context(self) -> int:
        """The longest prompt in tokens; one more is kept for the label."""
        return int(self.model.config.max_position_embeddings) - 1

    @property
    def padding_id(self) -> int:
        """What fills a row; it is never looked at."""
        return int(self.tokenizer.pad_token_id or 0)

    def hidden(self, batch: Batch, body: Callable[..., Any] | None = None) -> Tensor:
        """The last layer at every token: (packs, seq, hidden). `body` may be a compiled model."""
        body = self.model.model if body is None else body
        hidden: Tensor = body(
            input_ids=batch.ids, position_ids=batch.positions, attention_mask=batch.mask
        ).last_hidden_state
        return hidden

    def label_logits(self, hidden: Tensor, batch: Batch) -> Tensor:
        """Logits of the two labels for every pair of the batch: (pairs, 2)."""
        last = hidden[batch.rows, batch.ends]  # (pairs, hidden)
        labels = self.model.lm_head.weight[list(self.label_ids)]  # (2, hidden)
        logits: Tensor = last @ labels.T.to(last.dtype)
        return logits

    @torch.inference_mode()
    def scores(self, pairs: Sequence[Pair], *, tokens_per_batch: int = 8_192) -> list[float]:
        """p(identical) for each pair, in order."""
        self.model.eval()
        packs = make_packs(pairs, self.spec, self.encode, longest=self.context)
        scores = torch.zeros(len(pairs))
        for packs_of_batch in make_batches(packs, tokens=tokens_per_batch, rng=None):
            batch = collate(packs_of_batch, padding_id=self.padding_id)
            scores[batch.pairs] = (
                self.label_logits(self.hidden(batch), batch).float().softmax(-1)[:, 0]
            )
        return scores.tolist()


def load_judge(folder: Path, spec: JudgeSpec) -> LocalJudge:
    """The judge in a model folder, in float32; nothing is downloaded.

    Raises ConfigError if there is no model, or if its tokenizer cannot tell the labels apart.
    """
    if not (folder / "config.json").is_file():
        raise ConfigError(f"{folder} holds no model (config.json is missing); name a model folder.")
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = AutoModelForCausalLM.from_pretrained(
        folder, local_files_only=True, dtype=torch.float32, attn_implementation="sdpa"
    )
    return LocalJudge(spec, model, tokenizer, _label_ids(tokenizer, spec))


def _label_ids(tokenizer: Any, spec: JudgeSpec) -> tuple[int, int]:
    identical, different = (
        tokenizer.encode(label, add_special_tokens=False)[:1] for label in spec.labels
    )
    if not identical or not different or identical == different:
        raise ConfigError(
            f"This tokenizer starts the labels of judge {spec.name}, {spec.labels[0]!r} and "
            f"{spec.labels[1]!r}, alike; choose labels that differ in their first token."
        )
    return identical[0], different[0]
