"""The steps of a training, fixed before it begins: epochs of steps, steps of batches, batches of packs.

The rule: the steps depend on the pairs and the settings alone. Processes share the batches of a step, so their
number changes who computes a batch, never what a step learns.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from judge_server.models.packing import Pack, make_batches
from judge_server.training.settings import TrainSettings

__all__ = ["Batches", "Part", "Plan", "deal", "make_plan"]

Batches = list[list[Pack]]


@dataclass(frozen=True, slots=True)
class Part:
    """A batch of a step: its packs, its place in the step, and its share of the step's pairs (0..1).

    A share of 0 marks a stand-in, computed only because the other processes compute something.
    """

    packs: list[Pack]
    place: int
    share: float


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps of each epoch in order; steps are numbered from 1 over all epochs."""

    epochs: list[list[Batches]]

    @property
    def steps(self) -> int:
        """How many there are in all."""
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


def make_plan(packs: Sequence[Pack], questions: Sequence[int], settings: TrainSettings) -> Plan:
    """Every epoch is drawn anew from the seed.

    `questions` has the number of each pair's question: where pairs of a question are ranked, they share batches.
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
    return Plan(epochs)


def deal(batches: Batches, *, rounds: int, processes: int, process: int) -> list[Part]:
    """What one of `processes` computes of a step, in `rounds`; all of them compute as many batches."""
    pairs = [sum(len(pack.pairs) for pack in batch) for batch in batches]
    parts = []
    for place in range(process, rounds * processes, processes):
        if place < len(batches):
            parts.append(Part(batches[place], place, pairs[place] / sum(pairs)))
        else:
            parts.append(Part(batches[0], place, 0.0))
    return parts
