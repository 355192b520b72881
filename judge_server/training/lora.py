"""Adapters of low rank (LoRA, arXiv 2106.09685): few weights are trained, and merged at the end."""

from typing import Any

from peft import LoraConfig, TaskType, get_peft_model

from judge_server.models.base import LocalJudge
from judge_server.training.settings import TrainSettings

__all__ = ["add_adapters"]


def add_adapters(judge: LocalJudge, settings: TrainSettings) -> Any:
    """Freezes the judge's model and puts adapters into its layers; the head of a classifier is still trained.

    Returns the peft model around it, which can save the adapters or merge them into the weights.
    """
    is_classifier = judge.spec.kind == "classification"
    config = LoraConfig(
        task_type=TaskType.SEQ_CLS if is_classifier else TaskType.CAUSAL_LM,
        r=settings.lora_rank,
        lora_alpha=settings.lora_alpha,
        target_modules=list(settings.lora_targets) or "all-linear",
    )
    return get_peft_model(judge.model, config)
