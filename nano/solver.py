"""A first pass over a problem's steps, with slips that people make: a misread step, a forgotten carry.

Slips repeat across traces, so that wrong answers come in groups. A slip changes the calculations from its step on,
and every written calculation is the one that was made.
"""

from dataclasses import dataclass, replace
from random import Random

from nano.task import Operation, Problem, ProblemStep, Reading, run_plan

__all__ = ["CARE", "SolvedStep", "slip_chance", "solve", "work_step"]

CARE = 1.0
"""Scales every chance of a slip; 0 gives only right traces."""

SLIP_CHANCES = {
    "gain": 0.03, "lose": 0.04, "gift": 0.07, "give": 0.05, "containers": 0.10, "daily": 0.12,
    "doubles": 0.03, "triples": 0.06, "half": 0.06, "share": 0.16, "total more": 0.14,
    "total fewer": 0.15, "total twice": 0.14, "difference": 0.09, "money": 0.09,
}  # fmt: skip
"""Chance of a slip per kind of step, before carrying is counted."""
CARRY_CHANCE = 0.05
"""Added where a sum or difference carries."""


@dataclass(frozen=True, slots=True)
class SolvedStep:
    """One step as the solver made it; a skipped step has no operations."""

    step: ProblemStep
    reading: Reading
    operations: tuple[Operation, ...]
    before: int
    slipped: bool = False

    @property
    def value(self) -> int:
        """The running value after the step."""
        return self.operations[-1].result if self.operations else self.before


def carries(operation: Operation) -> bool:
    """Whether a written sum or difference carries or borrows between its last two digits."""
    units = (operation.left % 10, operation.right % 10)
    if operation.symbol == "+":
        return sum(units) >= 10
    return operation.symbol == "-" and units[0] < units[1] and operation.left > operation.right


def slip_chance(step: ProblemStep, value: int) -> float:
    """Chance that a first pass gets this step wrong when it starts from `value`."""
    carry = any(carries(operation) for operation in run_plan(step.reading.plan, value))
    return SLIP_CHANCES[step.kind] + (CARRY_CHANCE if carry else 0.0)


def solve(problem: Problem, rng: Random, care: float = CARE) -> list[SolvedStep]:
    """A first pass over the steps; each slips with its chance times `care`."""
    solved: list[SolvedStep] = []
    value = problem.start
    for index, step in enumerate(problem.steps):
        if rng.random() < care * slip_chance(step, value):
            is_last = index == len(problem.steps) - 1
            done = _slip(step, value, rng, can_skip=not is_last)
        else:
            done = work_step(step, value)
        solved.append(done)
        value = done.value
    return solved


def work_step(step: ProblemStep, value: int) -> SolvedStep:
    """The step without a slip, from the running value `value`."""
    return SolvedStep(step, step.reading, tuple(run_plan(step.reading.plan, value)), value)


def _slip(step: ProblemStep, value: int, rng: Random, can_skip: bool) -> SolvedStep:
    right = work_step(step, value)
    last = right.operations[-1]
    chances = {
        "misread": 5.0 if step.misreading else 0.0,
        "carry": 3.0 if carries(last) else 0.0,
        "near": 2.0,
        "skip": 1.5 if can_skip else 0.0,
    }
    kind = rng.choices(list(chances), list(chances.values()))[0]
    if kind == "misread" and step.misreading:
        operations = tuple(run_plan(step.misreading.plan, value))
        return SolvedStep(step, step.misreading, operations, value, slipped=True)
    if kind == "skip":
        return SolvedStep(step, step.reading, (), value, slipped=True)
    if kind == "carry":
        wrong = last.result + (-10 if last.symbol == "+" else 10)
    else:
        wrong = max(0, last.result + rng.choice((-1, 1)))
    operations = (*right.operations[:-1], replace(last, result=wrong))
    return replace(right, operations=operations, slipped=True)
