"""The judge with its optimiser: one step over a step's batches, on any number of processes.

The rule: a step's loss is a mean over its pairs, on whichever process they are computed, and dropout depends on the
batch alone; so the number of processes changes nothing but rounding.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from accelerate import Accelerator
from torch import Tensor
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from transformers import get_cosine_schedule_with_warmup

from judge_server.data.pairs import Pair
from judge_server.models.base import LocalJudge
from judge_server.models.packing import Pack, make_batches
from judge_server.training.loss import focal_loss, ranking_loss
from judge_server.training.schedule import Batches, StepBatch, TrainingPlan, deal, make_plan
from judge_server.training.settings import TrainSettings

__all__ = ["Learner", "Snapshot"]

WEIGHT = "weight"
WHOLE = StateDictOptions(full_state_dict=True, cpu_offload=True, strict=False)
"""The whole state by the names of the weights, in the first process, however the weights are divided."""


class Snapshot(NamedTuple):
    """Weights, optimiser and schedule at one step: tensors by name, and numbers and lists as JSON."""

    tensors: dict[str, Tensor]
    values: dict[str, Any]


class _Losses(NamedTuple):
    """`total` is minimised, `focal` is the term of it that is reported; means over a batch's pairs."""

    total: Tensor
    focal: Tensor


class Learner:
    """The judge with its optimiser, prepared for the accelerator's device and processes.

    Args:
        judge: on the CPU; weights that need no gradient are not trained.
        pairs: all pairs of an epoch.

    Raises:
        ConfigError: a pair is longer than the judge's context.
    """

    def __init__(
        self,
        accelerator: Accelerator,
        judge: LocalJudge,
        settings: TrainSettings,
        pairs: Sequence[Pair],
    ) -> None:
        self._accelerator = accelerator
        self._judge = judge
        self._settings = settings
        packs = self._packs(pairs)
        self.tokens = sum(pack.tokens for pack in packs)
        questions = _number_questions(pairs)
        self.plan: TrainingPlan = make_plan(packs, questions, settings)
        self._same = torch.tensor([pair.same for pair in pairs], device=accelerator.device)
        self._questions = torch.tensor(questions, device=accelerator.device)

        optimiser = torch.optim.AdamW(
            [weight for weight in judge.network.parameters() if weight.requires_grad],
            lr=settings.learning_rate,
            betas=(settings.adam_beta1, settings.adam_beta2),
            eps=settings.adam_epsilon,
            weight_decay=settings.weight_decay,
            fused=True,
        )
        warmup = math.ceil(settings.warmup_share * self.plan.steps)
        self.schedule = get_cosine_schedule_with_warmup(optimiser, warmup, self.plan.steps)
        self._network, self._optimiser = accelerator.prepare(judge.network, optimiser)
        self._rounds = math.ceil(settings.batches_per_step / accelerator.num_processes)
        accelerator.gradient_accumulation_steps = self._rounds

    @property
    def learning_rate(self) -> float:
        """The learning rate of the next step."""
        return float(self.schedule.get_last_lr()[0])

    def step(self, number: int, batches: Batches) -> float:
        """Makes one step (the `number`-th of all); returns its focal loss, a mean over all its pairs."""
        accelerator, settings = self._accelerator, self._settings
        self._network.train()
        total = torch.zeros((), device=accelerator.device)
        for batch in self._deal(batches, self._rounds):
            torch.manual_seed(settings.seed + number * settings.batches_per_step + batch.place)
            with accelerator.accumulate(self._network):
                losses = self._losses(batch)
                # accelerate takes the mean over rounds and processes; the step's loss is their sum
                weight = batch.fraction * self._rounds * accelerator.num_processes
                accelerator.backward(losses.total * weight)
                if accelerator.sync_gradients:
                    accelerator.clip_grad_norm_(self._network.parameters(), settings.gradient_clip)
                self._optimiser.step()
                self._optimiser.zero_grad()
            total += losses.focal.detach() * batch.fraction
        self.schedule.step()
        return float(accelerator.reduce(total, "sum"))

    @torch.no_grad()
    def scores(self, pairs: Sequence[Pair]) -> list[float]:
        """p(identical) of each pair with the current weights; the processes share the work, and each gets all scores.

        Raises ConfigError for a pair longer than the judge's context.
        """
        self._network.eval()
        batches = make_batches(
            self._packs(pairs),
            tokens=self._settings.batch_tokens,
            pairs=self._settings.batch_pairs,
        )
        scores = torch.zeros(len(pairs), device=self._accelerator.device)
        for dealt in self._deal(batches, math.ceil(len(batches) / self._accelerator.num_processes)):
            batch = self._judge.collate(dealt.packs).to(self._accelerator.device)
            logits = self._network(batch).logits  # (pairs of the batch, 2)
            if dealt.fraction:
                scores[batch.pairs] = logits.float().softmax(-1)[:, 0]
        summed: list[float] = self._accelerator.reduce(scores, "sum").tolist()
        return summed

    def weights(self) -> dict[str, Tensor]:
        """The trained weights, whole, by their names in the judge's network; all processes call it together."""
        network = self._accelerator.unwrap_model(self._network)
        names = [name for name, weight in network.named_parameters() if weight.requires_grad]
        state = self._accelerator.get_state_dict(self._network)
        return {name: state[name] for name in names if name in state}

    def snapshot(self) -> Snapshot:
        """Everything that the next step depends on; all processes call it together.

        The generators of random numbers are not in it, because each batch seeds them.
        """
        optimiser: dict[str, Any] = get_optimizer_state_dict(
            self._network, self._optimiser.optimizer, options=WHOLE
        )
        tensors = {f"{WEIGHT}/{name}": value for name, value in self.weights().items()}
        for name, moments in optimiser.get("state", {}).items():
            tensors |= {f"{moment}/{name}": value for moment, value in moments.items()}
        return Snapshot(
            {name: value.detach().cpu().contiguous() for name, value in tensors.items()},
            {
                "groups": optimiser.get("param_groups", []),
                "schedule": self.schedule.state_dict(),
            },
        )

    def restore(self, snapshot: Snapshot) -> None:
        """Goes on from a snapshot; all processes call it together.

        Raises KeyError, TypeError, ValueError or RuntimeError for a snapshot of other weights.
        """
        weights: dict[str, Any] = {}
        moments: dict[str, dict[str, Tensor]] = {}
        for label, value in snapshot.tensors.items():
            kind, _, name = label.partition("/")
            if kind == WEIGHT:
                weights[name] = value
            else:
                moments.setdefault(name, {})[kind] = value
        optimiser: dict[str, Any] = {"state": moments, "param_groups": snapshot.values["groups"]}
        set_model_state_dict(self._network, weights, options=WHOLE)
        set_optimizer_state_dict(self._network, self._optimiser.optimizer, optimiser, options=WHOLE)
        self.schedule.load_state_dict(snapshot.values["schedule"])

    def _losses(self, dealt: StepBatch) -> _Losses:
        settings = self._settings
        batch = self._judge.collate(dealt.packs).to(self._accelerator.device)
        asked = {"reading": True} if settings.reading_weight else {}
        judgement = self._network(batch, **asked)
        same = self._same[batch.pairs]
        focal = focal_loss(judgement.logits, same, gamma=settings.gamma, alpha=settings.alpha)
        total = focal
        if settings.reading_weight:
            total = total + settings.reading_weight * judgement.reading
        if settings.ranking_weight:
            ranking = ranking_loss(judgement.logits, same, self._questions[batch.pairs])
            total = total + settings.ranking_weight * ranking
        return _Losses(total, focal)

    def _packs(self, pairs: Sequence[Pair]) -> list[Pack]:
        settings = self._settings
        return self._judge.packs(pairs, longest=settings.pack_tokens if settings.packing else None)

    def _deal(self, batches: Batches, rounds: int) -> list[StepBatch]:
        return deal(
            batches,
            rounds=rounds,
            processes=self._accelerator.num_processes,
            process=self._accelerator.process_index,
        )


def _number_questions(pairs: Sequence[Pair]) -> list[int]:
    """The number of each pair's question."""
    numbers: dict[str, int] = {}
    return [numbers.setdefault(pair.question_id, len(numbers)) for pair in pairs]
