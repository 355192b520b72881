"""Word problems with exact integer answers, from an unlimited seeded generator.

A problem is a start value and a list of steps. A step has an English sentence, the arithmetic that it stands for (its
plan), and, where people commonly misread it, the misreading and its plan. All randomness comes from the generator
that is passed in.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Literal

__all__ = [
    "Operation",
    "Problem",
    "ProblemStep",
    "calculate",
    "make_problem",
    "problems",
    "run_plan",
]

Symbol = Literal["+", "-", "*", "/"]
Term = int | Literal["value", "last"]
"""A number, the running value before the step, or the result of the step's previous operation."""
Plan = tuple[tuple[Term, Symbol, Term], ...]

LARGEST_RUNNING_VALUE = 99
LARGEST_ANSWER = 199


@dataclass(frozen=True, slots=True)
class Operation:
    """One written calculation."""

    left: int
    symbol: Symbol
    right: int
    result: int

    def __str__(self) -> str:
        return f"{self.left}{self.symbol}{self.right}={self.result}"


@dataclass(frozen=True, slots=True)
class Reading:
    """A step in a solver's words, and the calculations that follow."""

    clause: str
    plan: Plan


@dataclass(frozen=True, slots=True)
class ProblemStep:
    """One sentence of a problem that changes the running value."""

    kind: str
    sentence: str
    reading: Reading
    misreading: Reading | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """A word problem; `closing` has the place `{}` for the answer."""

    start: int
    owner: str
    things: str
    steps: tuple[ProblemStep, ...]
    query: str
    asked: str
    closing: str

    @property
    def text(self) -> str:
        """The question as a user would type it."""
        opening = f"{self.owner} has {self.start} {self.things}."
        return " ".join([opening, *(step.sentence for step in self.steps), self.query])

    @property
    def answer(self) -> int:
        """The exact answer."""
        value = self.start
        for step in self.steps:
            value = run_plan(step.reading.plan, value)[-1].result
        return value


@dataclass(frozen=True, slots=True)
class Cast:
    """The people and things of one problem."""

    owner: str
    he: str
    him: str
    his: str
    friend: str
    things: str


MEN = ("Ben", "Tom", "Leo", "Max", "Sam", "Jack", "Omar", "Ivan", "Noah", "Paul", "Hugo", "Ravi")
WOMEN = ("Mia", "Anna", "Lily", "Emma", "Zoe", "Nina", "Sara", "Ruth", "Kate", "Aisha", "Mei", "Eva")  # fmt: skip
THINGS = (
    "apples", "marbles", "stickers", "cards", "coins", "books", "shells", "pencils", "stamps", "beads",
    "cookies", "plums", "stones", "buttons", "balloons", "candles", "tickets", "flowers", "eggs", "nuts",
)  # fmt: skip
CONTAINERS = ("boxes", "bags", "packs", "jars")
MIDDLE_STEPS = (1, 2, 3, 4, 5)
MIDDLE_STEP_WEIGHTS = (6, 20, 32, 28, 14)


def calculate(left: int, symbol: Symbol, right: int) -> int:
    """The result in whole numbers: differences stop at 0, quotients are rounded down."""
    if symbol == "+":
        return left + right
    if symbol == "-":
        return max(0, left - right)
    if symbol == "*":
        return left * right
    return left // right


def run_plan(plan: Plan, value: int) -> list[Operation]:
    """The written calculations of a step that starts from `value`."""
    done: list[Operation] = []
    for left_term, symbol, right_term in plan:
        numbers = [
            term if isinstance(term, int) else value if term == "value" else done[-1].result
            for term in (left_term, right_term)
        ]
        done.append(
            Operation(numbers[0], symbol, numbers[1], calculate(numbers[0], symbol, numbers[1]))
        )
    return done


def problems(rng: Random, exclude: frozenset[str] = frozenset()) -> Iterator[Problem]:
    """Endless problems, all different, none of whose texts is in `exclude`."""
    seen = set(exclude)
    while True:
        problem = make_problem(rng)
        if problem.text not in seen:
            seen.add(problem.text)
            yield problem


def make_problem(rng: Random) -> Problem:
    """A problem whose every intermediate result is a small exact whole number."""
    cast = _draw_cast(rng)
    start = value = rng.randint(4, 40)
    steps: list[ProblemStep] = []
    for _ in range(rng.choices(MIDDLE_STEPS, MIDDLE_STEP_WEIGHTS)[0]):
        step = _draw_middle_step(rng, cast, value)
        steps.append(step)
        value = run_plan(step.reading.plan, value)[-1].result
    return _finish(rng, cast, start, steps, value)


def _draw_cast(rng: Random) -> Cast:
    is_woman = rng.random() < 0.5
    owner = rng.choice(WOMEN if is_woman else MEN)
    friend = rng.choice([name for name in WOMEN + MEN if name != owner])
    pronouns = ("she", "her", "her") if is_woman else ("he", "him", "his")
    return Cast(owner, *pronouns, friend=friend, things=rng.choice(THINGS))


def _draw_middle_step(rng: Random, cast: Cast, value: int) -> ProblemStep:
    while True:
        make = rng.choices(
            (_gain, _lose, _buy_containers, _use_daily, _multiply, _halve, _share),
            (24, 24, 16, 11, 9, 7, 9),
        )[0]
        step = make(rng, cast, value)
        if step is not None:
            return step


def _gain(rng: Random, cast: Cast, value: int) -> ProblemStep | None:
    number = rng.randint(2, 30)
    if value + number > LARGEST_RUNNING_VALUE:
        return None
    plan: Plan = (("value", "+", number),)
    he = cast.he
    if rng.random() < 0.35:
        return ProblemStep(
            "gift",
            f"{cast.friend} gives {cast.him} {number} {cast.things}.",
            Reading(f"{cast.friend} gives {cast.him} {number}", plan),
            Reading(f"{he} gives {number}", (("value", "-", number),)),
        )
    verb = rng.choice(("finds", "wins", "gets"))
    sentence = f"{he.capitalize()} {verb} {number} more {cast.things}."
    return ProblemStep("gain", sentence, Reading(f"{he} {verb} {number}", plan))


def _lose(rng: Random, cast: Cast, value: int) -> ProblemStep | None:
    if value < 6:
        return None
    number = rng.randint(2, min(30, value - 2))
    plan: Plan = (("value", "-", number),)
    he = cast.he
    if rng.random() < 0.35:
        return ProblemStep(
            "give",
            f"{he.capitalize()} gives {number} {cast.things} to {cast.friend}.",
            Reading(f"{he} gives {number}", plan),
            Reading(f"{cast.friend} gives {cast.him} {number}", (("value", "+", number),)),
        )
    verb = rng.choice(("loses", "uses", "sells"))
    sentence = f"Then {he} {verb} {number} {cast.things}."
    return ProblemStep("lose", sentence, Reading(f"{he} {verb} {number}", plan))


def _buy_containers(rng: Random, cast: Cast, value: int) -> ProblemStep | None:
    count, size = rng.randint(2, 6), rng.randint(2, 9)
    if value + count * size > LARGEST_RUNNING_VALUE:
        return None
    he, container = cast.he, rng.choice(CONTAINERS)
    return ProblemStep(
        "containers",
        f"{he.capitalize()} buys {count} {container} of {size} {cast.things}.",
        Reading(
            f"{he} buys {count} {container} of {size}",
            ((count, "*", size), ("value", "+", "last")),
        ),
        Reading(f"{he} buys {size}", (("value", "+", size),)),
    )


def _use_daily(rng: Random, cast: Cast, value: int) -> ProblemStep | None:
    days, daily = rng.randint(2, 5), rng.randint(2, 9)
    if value - days * daily < 2:
        return None
    he = cast.he
    return ProblemStep(
        "daily",
        f"For {days} days {he} uses {daily} {cast.things} each day.",
        Reading(
            f"{he} uses {daily} for {days} days",
            ((days, "*", daily), ("value", "-", "last")),
        ),
        Reading(f"{he} uses {daily}", (("value", "-", daily),)),
    )


def _multiply(rng: Random, cast: Cast, value: int) -> ProblemStep | None:
    factor = rng.choice((2, 2, 3))
    if value * factor > LARGEST_RUNNING_VALUE:
        return None
    verb = {2: "doubles", 3: "triples"}[factor]
    return ProblemStep(
        verb,
        f"Then the number of {cast.things} {verb}.",
        Reading(f"it {verb}", (("value", "*", factor),)),
    )


def _halve(rng: Random, cast: Cast, value: int) -> ProblemStep | None:
    if value % 2 or value < 4:
        return None
    return ProblemStep(
        "half",
        f"{cast.he.capitalize()} gives half of the {cast.things} to {cast.friend}.",
        Reading(f"{cast.he} gives half", (("value", "/", 2),)),
    )


def _share(rng: Random, cast: Cast, value: int) -> ProblemStep | None:
    friends = rng.choice([n for n in (2, 3, 4) if value % (n + 1) == 0] or [0])
    if not friends or value // (friends + 1) < 2:
        return None
    return ProblemStep(
        "share",
        f"{cast.he.capitalize()} shares the {cast.things} equally with {friends} friends.",
        Reading(f"{cast.he} and {friends} friends share", (("value", "/", friends + 1),)),
        Reading(f"{friends} friends share", (("value", "/", friends),)),
    )


def _finish(rng: Random, cast: Cast, start: int, steps: list[ProblemStep], value: int) -> Problem:
    make = rng.choices((_ask_count, _ask_total, _ask_difference, _ask_money), (40, 26, 18, 16))[0]
    last, query, asked, closing = make(rng, cast, value)
    if last is not None:
        result = run_plan(last.reading.plan, value)[-1].result
        if not 0 < result <= LARGEST_ANSWER:
            last, query, asked, closing = _ask_count(rng, cast, value)
    every_step = (*steps, last) if last is not None else tuple(steps)
    return Problem(start, cast.owner, cast.things, every_step, query, asked, closing)


Ending = tuple[ProblemStep | None, str, str, str]
"""The last step if any, the query, the query in a few words, and the closing sentence."""


def _ask_count(rng: Random, cast: Cast, value: int) -> Ending:
    query = f"How many {cast.things} does {cast.owner} have now?"
    asked = f"how many {cast.things} {cast.owner} has"
    return None, query, asked, f"{cast.owner} has {{}} {cast.things}."


def _ask_total(rng: Random, cast: Cast, value: int) -> Ending:
    kind = rng.choice(("more", "fewer", "twice"))
    number = rng.randint(2, 20 if kind == "more" else max(2, min(20, value - 1)))
    phrase = "twice as many" if kind == "twice" else f"{number} {kind}"
    link = "as" if kind == "twice" else "than"
    first: tuple[Term, Symbol, Term] = {
        "more": ("value", "+", number), "fewer": ("value", "-", number), "twice": ("value", "*", 2),
    }[kind]  # type: ignore[assignment]  # fmt: skip
    step = ProblemStep(
        f"total {kind}",
        f"{cast.friend} has {phrase} {cast.things} {link} {cast.owner}.",
        Reading(f"{cast.friend} has {phrase}", (first, ("value", "+", "last"))),
        Reading(f"{cast.friend} has {phrase}", (first,)),
    )
    query = f"How many {cast.things} do they have together?"
    asked = f"how many {cast.things} they have together"
    return step, query, asked, f"Together they have {{}} {cast.things}."


def _ask_difference(rng: Random, cast: Cast, value: int) -> Ending:
    number = rng.randint(3, 60)
    ahead, behind = (cast.owner, cast.friend) if value >= number else (cast.friend, cast.owner)
    plan: Plan = (("value", "-", number),) if value >= number else ((number, "-", "value"),)
    step = ProblemStep(
        "difference",
        f"{cast.friend} has {number} {cast.things}.",
        Reading(f"{cast.friend} has {number}", plan),
        Reading(f"{cast.friend} has {number}", (("value", "+", number),)),
    )
    query = f"How many more {cast.things} does {ahead} have than {behind}?"
    asked = f"how many more {cast.things} {ahead} has"
    return step, query, asked, f"{ahead} has {{}} more {cast.things}."


def _ask_money(rng: Random, cast: Cast, value: int) -> Ending:
    price = rng.randint(2, 6)
    step = ProblemStep(
        "money",
        f"{cast.he.capitalize()} sells all the {cast.things} for {price} dollars each.",
        Reading(f"each costs {price}", (("value", "*", price),)),
        Reading(f"{cast.he} gets {price}", (("value", "+", price),)),
    )
    query = f"How many dollars does {cast.owner} get?"
    asked = f"how many dollars {cast.owner} gets"
    return step, query, asked, f"{cast.owner} gets {{}} dollars."
