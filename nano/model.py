"""The architecture of the reasoner: a small Qwen3, which vLLM and transformers know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from tokenizers import Tokenizer

from nano.tokenizer import END, PADDING

if TYPE_CHECKING:
    from transformers import Qwen3ForCausalLM

__all__ = ["ModelSize", "make_model"]


@dataclass(frozen=True, slots=True)
class ModelSize:
    """The shape of the network; `context` is in tokens."""

    hidden_size: int = 128
    mlp_size: int = 384
    layers: int = 4
    heads: int = 4
    key_value_heads: int = 2
    head_size: int = 32
    context: int = 2_048


def make_model(size: ModelSize, tokenizer: Tokenizer) -> Qwen3ForCausalLM:
    """An untrained Qwen3 of about a million parameters."""
    # Imported late, so that `nano.train` can hide torch companions that do not load.
    from transformers import (
        AttentionInterface,
        GenerationConfig,
        Qwen3Config,
        Qwen3ForCausalLM,
    )

    end, pad = (tokenizer.token_to_id(token) for token in (END, PADDING))
    config = Qwen3Config(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=size.hidden_size,
        intermediate_size=size.mlp_size,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        num_key_value_heads=size.key_value_heads,
        head_dim=size.head_size,
        max_position_embeddings=size.context,
        tie_word_embeddings=True,
        use_cache=False,
        bos_token_id=None,
        eos_token_id=end,
        pad_token_id=pad,
    )
    AttentionInterface.register("float32", float32_attention)
    model = Qwen3ForCausalLM(config)
    model.set_attn_implementation("float32")
    model.generation_config = GenerationConfig(
        eos_token_id=end, pad_token_id=pad, do_sample=True, temperature=1.0, top_p=1.0
    )
    return model


def float32_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **_: object,
) -> tuple[torch.Tensor, None]:
    """Causal attention in float32, which on a CPU is faster than in bfloat16.

    Shapes: query (batch, heads, seq, head), key and value (batch, key_value_heads, seq, head);
    the result is (batch, seq, heads, head).
    """
    with torch.autocast("cpu", enabled=False):
        mixed = torch.nn.functional.scaled_dot_product_attention(
            query.float(),
            key.float(),
            value.float(),
            is_causal=True,
            scale=scaling,
            enable_gqa=True,
        )
    return mixed.transpose(1, 2).contiguous(), None
