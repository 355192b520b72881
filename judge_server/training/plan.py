"""What a training will take, before it is started: `deepprune-judge train --plan`.

The settings are tried on a tiny random model of the same architecture with one step of the real training code. Steps and tokens
are exact; memory and time are estimates, from the weights and from a measured step of one layer of the model's width.
"""

import os
import platform
import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass

import accelerate
import torch
import transformers
from accelerate import Accelerator

from judge_server.data.pairs import Pair
from judge_server.evaluation.markdown import table
from judge_server.models.base import LocalJudge
from judge_server.training.data import read_training_data
from judge_server.training.job import TrainingJob
from judge_server.training.learner import Learner
from judge_server.training.lora import add_adapters
from judge_server.training.random_judge import RandomJudges
from judge_server.training.schedule import Batches
from judge_server.training.train import make_accelerator
from orchestrator.errors import ConfigError

__all__ = ["Plan", "plan_text", "plan_training"]

GB = 1e9
_ADAM_BYTES = 16
"""For each trained weight in float32: itself, its gradient, and two moments."""
_ACTIVATION_BYTES = 34
"""For each token, layer and unit of width in 16 bits, without the attention matrix (arXiv 2205.05198, section 4.1)."""
_FLOPS_PER_WEIGHT = 6
"""For each token: two forwards, four backwards (arXiv 2001.08361)."""
_TRIED_PAIRS = 16
_MEASURED_STEPS = 3


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The training's extent. Bytes are those of one device, seconds those of all epochs; both are estimates.

    `seconds_per_flop` is measured on `device`, None where one layer of the model does not fit into its memory.
    """

    architecture: str
    weights: int
    trained: int
    pairs: int
    steps: int
    tokens: int
    longest_batch: int
    weight_bytes: int
    activation_bytes: int
    device_bytes: int | None
    device: str
    devices: int
    seconds: float | None
    mixed_precision: str
    command: str

    @property
    def is_divided(self) -> bool:
        """Whether the weights have to be divided over the devices (FSDP)."""
        needed = self.weight_bytes + self.activation_bytes
        return self.devices > 1 and self.device_bytes is not None and needed > self.device_bytes


def plan_training(job: TrainingJob, *, devices: int | None) -> Plan:
    """The plan of a training; nothing is written.

    Raises:
        ConfigError: a setting or the model does not fit, or cannot be trained with the installed libraries.
        DatasetError: the data cannot be used.
    """
    if job.spec.kind == "embedding-head":
        raise ConfigError(
            "The model of an embedding-head is frozen, so there is no training to plan: it takes one pass a segment. Remove --plan."
        )
    data = read_training_data(job.source, job.spec, job.settings, job.fold)
    pairs = data.epoch_pairs(job.settings)
    judges = RandomJudges(job.init, job.spec)
    accelerator = make_accelerator(job)
    learner = _tried(accelerator, judges, job, pairs)
    batches = [batch for step in learner.plan.epochs[0] for batch in step]
    longest = max(len(batch) * max(pack.tokens for pack in batch) for batch in batches)
    frozen = job.settings.lora_rank > 0
    whole = judges.whole(torch.bfloat16 if frozen and job.settings.bf16 else torch.float32)
    weights = sum(weight.numel() for weight in whole.network.parameters())
    if frozen:
        add_adapters(whole, job.settings)
    trained = sum(each.numel() for each in whole.network.parameters() if each.requires_grad)
    tokens = learner.tokens * job.settings.epochs
    count = devices or max(1, torch.cuda.device_count())
    rate = _seconds_per_flop(accelerator, judges, job, pairs)
    extra = 4 / 3 if job.settings.gradient_checkpointing else 1.0
    flops = _FLOPS_PER_WEIGHT * _computed_weights(whole) * tokens * extra
    return Plan(
        architecture=judges.architecture,
        weights=weights,
        trained=trained,
        pairs=len(pairs),
        steps=learner.plan.steps,
        tokens=tokens,
        longest_batch=longest,
        weight_bytes=_ADAM_BYTES * trained + 2 * (weights if frozen else 0),
        activation_bytes=_activation_bytes(judges, job, longest),
        device_bytes=_device_bytes(accelerator.device),
        device=_device_name(accelerator.device),
        devices=count,
        seconds=None if rate is None else rate * flops / count,
        mixed_precision="bf16" if job.settings.bf16 else "no",
        command=job.command,
    )


def plan_text(plan: Plan) -> str:
    """The plan as Markdown, with the command to run."""
    needed = plan.weight_bytes + plan.activation_bytes
    rows = [
        (
            "tried",
            f"one step of a tiny random {plan.architecture}, transformers {transformers.__version__}, "
            f"accelerate {accelerate.__version__}, torch {torch.__version__}",
        ),
        ("weights", f"{plan.weights:,}, of them trained {plan.trained:,}"),
        ("pairs in an epoch", f"{plan.pairs:,}"),
        ("steps", f"{plan.steps:,}"),
        ("tokens", f"{plan.tokens:,} in all epochs; {plan.longest_batch:,} in the longest batch"),
        (
            "memory, estimated",
            f"{needed / GB:,.2f} GB on a device: {plan.weight_bytes / GB:,.2f} for weights, gradients and moments, "
            f"{plan.activation_bytes / GB:,.2f} for activations",
        ),
        (
            "device",
            f"{plan.device}, {_gigabytes(plan.device_bytes)}; the plan is for {plan.devices}",
        ),
        ("time, estimated", _time(plan)),
    ]
    return f"{table(('what', 'value'), rows)}\n\n```\n{_launch(plan)}\n```\n"


def _tried(
    accelerator: Accelerator, judges: RandomJudges, job: TrainingJob, pairs: Sequence[Pair]
) -> Learner:
    """The learner of all pairs, after a step of a small one on a tiny model. Raises ConfigError if it fails."""
    try:
        few = Learner(
            accelerator, _prepared(judges.tiny(), job), job.settings, pairs[:_TRIED_PAIRS]
        )
        few.step(1, _first_step(few))
        return Learner(accelerator, _prepared(judges.tiny(), job), job.settings, pairs)
    except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0].rstrip(".")
        raise ConfigError(
            f"A tiny model of {job.init}'s architecture cannot be trained with transformers {transformers.__version__} "
            f"and accelerate {accelerate.__version__} ({reason}); change the settings or the versions."
        ) from error


def _prepared(judge: LocalJudge, job: TrainingJob) -> LocalJudge:
    """As `judge_server.training.train.load_initial_judge` prepares the real one, not compiled."""
    if job.settings.lora_rank > 0:
        add_adapters(judge, job.settings)
    if job.settings.gradient_checkpointing:
        judge.model.gradient_checkpointing_enable({"use_reentrant": False})
    return judge


def _first_step(learner: Learner) -> Batches:
    return learner.plan.epochs[0][0]


def _seconds_per_flop(
    accelerator: Accelerator, judges: RandomJudges, job: TrainingJob, pairs: Sequence[Pair]
) -> float | None:
    """From steps of one layer as wide as the model's; None where it takes more than half of the memory."""
    judge = judges.one_layer()
    size = sum(weight.numel() for weight in judge.network.parameters())
    memory = _device_bytes(accelerator.device)
    if memory is not None and _ADAM_BYTES * size > memory / 2:
        return None
    computed = _computed_weights(judge)
    learner = Learner(accelerator, _prepared(judge, job), job.settings, pairs[:_TRIED_PAIRS])
    step = _first_step(learner)
    tokens = sum(pack.tokens for batch in step for pack in batch)
    seconds = []
    for number in range(1, _MEASURED_STEPS + 2):
        began = time.perf_counter()
        learner.step(number, step)  # it returns the loss as a number, so the device has finished
        seconds.append(time.perf_counter() - began)
    return min(seconds[1:]) / (_FLOPS_PER_WEIGHT * computed * tokens)


def _computed_weights(judge: LocalJudge) -> int:
    """Weights that take part in matrix products: all but the tables of tokens, of which only two rows are used."""
    tables = {id(judge.model.get_input_embeddings().weight)}
    head = judge.model.get_output_embeddings()
    if head is not None:
        tables.add(id(head.weight))
    return sum(weight.numel() for weight in judge.network.parameters() if id(weight) not in tables)


def _activation_bytes(judges: RandomJudges, job: TrainingJob, tokens: int) -> int:
    config = judges.config
    width = config.hidden_size * tokens * (1 if job.settings.bf16 else 2)
    if job.settings.gradient_checkpointing:
        return int(width * (2 * config.num_hidden_layers + _ACTIVATION_BYTES))
    return int(width * config.num_hidden_layers * _ACTIVATION_BYTES)


def _device_bytes(device: torch.device) -> int | None:
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    if device.type == "cpu" and hasattr(os, "sysconf"):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return None


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type} ({platform.machine()}, {os.cpu_count()} cores)"


def _gigabytes(size: int | None) -> str:
    return "memory unknown" if size is None else f"{size / GB:,.0f} GB"


def _time(plan: Plan) -> str:
    if plan.seconds is None:
        return "unknown: one layer of the model does not fit into half of this device's memory"
    minutes = plan.seconds / 60
    shown = f"{minutes:,.1f} minutes" if minutes < 120 else f"{minutes / 60:,.1f} hours"
    return f"{shown} on {plan.devices} of this device, from steps of one layer measured on it"


def _launch(plan: Plan) -> str:
    """The line for `accelerate launch`."""
    words = ["accelerate", "launch"]
    if plan.devices > 1:
        words.append("--use_fsdp" if plan.is_divided else "--multi_gpu")
    words += ["--num_processes", str(plan.devices), "--num_machines", "1"]
    words += ["--mixed_precision", plan.mixed_precision, "--dynamo_backend", "no"]
    command = shlex.split(plan.command)[1:]
    return shlex.join([*words, "-m", "judge_server.cli.main", *command])
