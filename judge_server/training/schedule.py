"""The steps of a training, fixed before it begins: epochs of steps, steps of batches, batches of packs.

The rule: the steps depend on the pairs and the settings alone. Processes share the batches of a step, so their
number changes where a batch is computed, never what a step contains.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from judge_server.models.packing import Pack, make_batches
from judge_server.training.settings import TrainSettings

__all__ = ["Batches", "StepBatch", "TrainingPlan", "deal", "make_plan"]

Batches = list[list[Pack]]


@dataclass(frozen=True, slots=True)
class StepBatch:
    """A batch of a step: its packs, its place in the step, and its fraction of the step's pairs (0..1).

    A fraction of 0 marks a filler, computed only because all processes must compute equally many batches.
    """

    packs: list[Pack]
    place: int
    fraction: float


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """The steps of each epoch in order; steps are numbered from 1 over all epochs."""

    epochs: list[list[Batches]]

    @property
    def steps(self) -> int:
        """The number of steps in all epochs."""
        return self.end(len(self.epochs) - 1)

    def end(self, epoch: int) -> int:
        """The number of an epoch's last step."""
        return sum(len(steps) for steps in self.epochs[: epoch + 1])

    def left(self, epoch: int, done: int) -> list[tuple[int, Batches]]:
        """The epoch's steps with their numbers, without the first `done` steps of all."""
        first = self.end(epoch - 1) + 1
        return [
            numbered
            for numbered in enumerate(self.epochs[epoch], start=first)
            if numbered[0] > done
        ]


def make_plan(
    packs: Sequence[Pack], questions: Sequence[int], settings: TrainSettings
) -> TrainingPlan:
    """The steps of every epoch, each epoch in a random order of its own from the seed.

    `questions` has the number of each pair's question; with the ranking loss, pairs of a question share batches.
    """

    def question_of(pack: Pack) -> int:
        return questions[pack.pairs[0][0]]

    epochs = []
    for epoch in range(settings.epochs):
        batches = make_batches(
            packs,
            tokens=settings.batch_tokens,
            pairs=settings.batch_pairs,
            rng=Random(f"{settings.seed}:{epoch}"),
            group=question_of if settings.ranking_weight else None,
        )
        size = settings.batches_per_step
        epochs.append([batches[start : start + size] for start in range(0, len(batches), size)])
    return TrainingPlan(epochs)


def deal(batches: Batches, *, rounds: int, processes: int, process: int) -> list[StepBatch]:
    """The batches of a step that one of `processes` computes, in `rounds`; all compute equally many batches."""
    pairs = [sum(len(pack.pairs) for pack in batch) for batch in batches]
    dealt = []
    for place in range(process, rounds * processes, processes):
        if place < len(batches):
            dealt.append(StepBatch(batches[place], place, pairs[place] / sum(pairs)))
        else:
            dealt.append(StepBatch(batches[0], place, 0.0))
    return dealt
