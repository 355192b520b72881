"""Judges with random weights of a model's architecture, to try and to measure what its training will do.

Only the model's configuration and tokenizer are read, never its weights.
"""

import copy
import math
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from judge_server.models.base import LocalJudge
from judge_server.models.causal import CausalJudge
from judge_server.models.classifier import ClassifierJudge
from judge_server.models.load import read_config, read_tokenizer
from orchestrator.core.judging import JudgeSpec

__all__ = ["RandomJudges"]

_TINY_HEADS, _TINY_HEAD_SIZE = 4, 16


class RandomJudges:
    """Judges of the architecture of `init`, a model folder or a name on the hub.

    Raises ConfigError if there is no such model.
    """

    def __init__(self, init: str, spec: JudgeSpec) -> None:
        self._spec = spec
        self.config = read_config(init)
        self._tokenizer = read_tokenizer(init)

    @property
    def architecture(self) -> str:
        """The name of the class that holds the weights."""
        return type(self._model(self.config, torch.device("meta"))).__name__

    def whole(self, dtype: torch.dtype) -> LocalJudge:
        """Every weight, without memory: to count them."""
        return self._judge(self.config, torch.device("meta"), dtype)

    def one_layer(self) -> LocalJudge:
        """One layer as wide as the model's, on the CPU."""
        return self._judge(_with_layers(self.config, 1), torch.device("cpu"), torch.float32)

    def tiny(self) -> LocalJudge:
        """Two narrow layers, on the CPU."""
        return self._judge(_tiny(self.config), torch.device("cpu"), torch.float32)

    def _judge(self, config: Any, device: torch.device, dtype: torch.dtype) -> LocalJudge:
        model = self._model(config, device).to(dtype)
        if self._spec.kind == "classification":
            return ClassifierJudge(self._spec, model, self._tokenizer)
        return CausalJudge(self._spec, model, self._tokenizer)

    def _model(self, config: Any, device: torch.device) -> Any:
        with device:
            if self._spec.kind == "classification":
                labelled = copy.deepcopy(config)
                labelled.num_labels = 2
                return AutoModelForSequenceClassification.from_config(labelled)
            return AutoModelForCausalLM.from_config(config, attn_implementation="sdpa")


def _with_layers(config: Any, layers: int) -> Any:
    found = copy.deepcopy(config)
    found.num_hidden_layers = layers
    if getattr(found, "layer_types", None):
        found.layer_types = found.layer_types[:layers]
    return found


def _tiny(config: Any) -> Any:
    """The configuration with two layers and at most four heads of 16; all else is as it was."""
    found = _with_layers(config, min(2, config.num_hidden_layers))
    heads = min(_TINY_HEADS, config.num_attention_heads)
    found.num_attention_heads = heads
    found.hidden_size = heads * _TINY_HEAD_SIZE
    if getattr(found, "num_key_value_heads", None):
        found.num_key_value_heads = math.gcd(heads, config.num_key_value_heads)
    if getattr(found, "head_dim", None):
        found.head_dim = _TINY_HEAD_SIZE
    if getattr(found, "intermediate_size", None):
        found.intermediate_size = 2 * found.hidden_size
    return found
