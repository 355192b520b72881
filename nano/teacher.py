"""Teacher traces, which read like the reasoning of a small model: `python -m nano.teacher --out FILE` writes some.

A trace is a quick first pass, dense in reasoning words, up to a tentative answer; then rounds of checking that mostly
repeat it. Slips happen in the first pass (`nano.solver`), and a check finds only a few of them.

The reasoner is trained on such traces. The judge is trained on them first, because any number can be generated, and
then on the reasoner's own traces.
"""

import argparse
import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from nano.questions import fixed_question_texts
from nano.solver import CARE, SolvedStep, solve, work_step
from nano.task import Problem, problems

__all__ = ["TeacherTrace", "main", "write_trace"]


CATCH_CHANCE = 0.12
"""Chance that the first full check finds a slip; later checks find it four times less often."""
ENDLESS_CHANCE = 0.003
"""Chance, at each round of checking, to repeat checks without end."""
ENDLESS_ROUNDS = 60


@dataclass(frozen=True, slots=True)
class TeacherTrace:
    """The text of a trace, and its answer (None if it never ends)."""

    text: str
    answer: int | None


Check = Callable[[Problem, list[SolvedStep], Random], str]
"""Writes one round of checking."""


def write_trace(problem: Problem, rng: Random, care: float = CARE) -> TeacherTrace:
    """One trace for the problem, slips and checks included."""
    lines = solve(problem, rng, care)
    parts = [_first_pass(problem, lines, rng)]
    catch = CATCH_CHANCE
    check: Check = _one_step
    for round_number in range(ENDLESS_ROUNDS):
        if _is_satisfied(lines, round_number, rng):
            break
        if rng.random() < ENDLESS_CHANCE:
            parts.append(_check_without_end(problem, lines, rng))
            return TeacherTrace("<think>\n" + "\n".join(parts), None)
        check = _next_check(round_number, check, rng)
        if check is _full_check:
            text, lines = _check_and_correct(problem, lines, rng, catch)
            catch = CATCH_CHANCE / 4
        else:
            text = check(problem, lines, rng)
        parts.append(text)
    answer = _answer(lines)
    parts.append(_conclude(answer, rng))
    closing = problem.closing.format(rf"\boxed{{{answer}}}")
    return TeacherTrace("<think>\n" + "\n".join(parts) + f"\n</think>\n{closing}", answer)


def _answer(lines: list[SolvedStep]) -> int:
    return lines[-1].value


def _is_satisfied(lines: list[SolvedStep], rounds: int, rng: Random) -> bool:
    if rounds == 0:
        return rng.random() < (0.20 if len(lines) <= 2 else 0.01)
    if rounds < 3:
        return rng.random() < 0.07
    if rounds >= 8:
        return rng.random() < 0.6
    return rng.random() < (0.22 if any(line.slipped for line in lines) else 0.30)


def _next_check(rounds: int, previous: Check, rng: Random) -> Check:
    """A full check first, and never the same kind twice in a row."""
    if rounds == 0:
        return _full_check
    check = previous
    while check is previous:
        check = rng.choices(CHECKS, CHECK_WEIGHTS)[0]
    return check


def _first_pass(problem: Problem, lines: list[SolvedStep], rng: Random) -> str:
    opening = rng.choice(
        (
            "Hmm, so {} starts with {}.",
            "So first, since {} starts with {}, maybe go step by step.",
            "So {} has {} at first, hmm.",
        )
    ).format(problem.owner, problem.start)
    sentences = [opening]
    slow = 0.9 if len(lines) <= 3 else 0.6 if len(lines) == 4 else 0.3
    sentences += [_think(line, slow, rng) for line in lines if line.operations]
    sentences.append(
        rng.choice(
            (
                "So maybe the answer is {}. Hmm, wait, but check.",
                "Thus perhaps the answer is {}. But wait, maybe check again.",
                "Therefore maybe the answer is {}. Hmm, but actually, wait.",
                "Hence the answer is {}, so maybe done. However, wait, check.",
            )
        ).format(_answer(lines))
    )
    return " ".join(sentences)


QUICK_THOUGHTS = (
    "So since {clause}, thus {sums}.",
    "Thus {sums}, since {clause}, so {value}.",
    "But then {clause}, so {sums}, hence {value}.",
    "However, since {clause}, thus {sums}.",
    "Since {clause}, so {sums}, hmm.",
)
SLOW_THOUGHTS = (
    "Hmm, so since {clause}, thus maybe {sums}.",
    "So maybe {sums}, because {clause}, so perhaps {value}.",
    "But wait, since {clause}, so maybe {sums}.",
    "Therefore maybe {sums}, because {clause}, so hmm, {value}.",
    "Actually, hmm, since {clause}, so perhaps {sums}.",
)
REFLECTIONS = (
    "Hmm, so {value}, but maybe that was quick, so check, since perhaps it is wrong, hmm.",
    "So {value}, but wait, maybe not, so perhaps check, because hmm, it was quick.",
    "Actually, maybe {value}, but hmm, since it was quick, so wait, perhaps check.",
)


def _think(line: SolvedStep, slow: float, rng: Random) -> str:
    sums = ", so ".join(str(operation) for operation in line.operations)
    thoughts = SLOW_THOUGHTS if rng.random() < slow else QUICK_THOUGHTS
    return rng.choice(thoughts).format(clause=line.reading.clause, sums=sums, value=line.value)


def _recount(line: SolvedStep) -> str:
    clause = line.reading.clause
    sums = ", ".join(str(operation) for operation in line.operations)
    return f"{clause[0].upper()}{clause[1:]}: {sums}."


def _check_and_correct(
    problem: Problem, lines: list[SolvedStep], rng: Random, catch: float
) -> tuple[str, list[SolvedStep]]:
    """A full check that finds each slip with chance `catch` and corrects the steps from there on."""
    for index, line in enumerate(lines):
        if line.slipped and rng.random() < catch:
            return _correct(problem, lines, index, rng)
    return _full_check(problem, lines, rng), lines


def _full_check(problem: Problem, lines: list[SolvedStep], rng: Random) -> str:
    opening = rng.choice(
        (
            "Wait, let me check again, because maybe it is wrong.",
            "But wait, since it was quick, check each step.",
            "Actually, maybe check once more, so wait.",
        )
    )
    recounts = " ".join(_recount(line) for line in lines if line.operations)
    start = f"{opening} {problem.owner} has {problem.start}."
    return " ".join(part for part in (start, recounts, _again(lines, rng)) if part)


def _again(lines: list[SolvedStep], rng: Random) -> str:
    value = lines[-1].value
    return rng.choice(("So {} again.", "Thus it is still {}.", "Hmm, so {} again.")).format(value)


def _correct(
    problem: Problem, lines: list[SolvedStep], index: int, rng: Random
) -> tuple[str, list[SolvedStep]]:
    wrong = lines[index]
    fixed = [*lines[:index]]
    value = wrong.before
    for line in lines[index:]:
        fixed.append(work_step(line.step, value))
        value = fixed[-1].value
    before = " ".join(_recount(line) for line in lines[:index] if line.operations)
    noticed = _recount(wrong) if wrong.operations else "Hmm, I left something out."
    after = " ".join(_recount(line) for line in fixed[index:])
    opening = f"Wait, let me check again. {problem.owner} has {problem.start}."
    turn = rng.choice(("No, wait, that is wrong.", "Actually no, that is a mistake."))
    ending = f"So the answer is {value}, not {_answer(lines)}."
    return " ".join(part for part in (opening, before, noticed, turn, after, ending) if part), fixed


def _numbers(problem: Problem, lines: list[SolvedStep], rng: Random) -> str:
    values = [problem.start, *(line.value for line in lines if line.operations)]
    listed = ", ".join(str(value) for value in values)
    opening = rng.choice(("Alternatively, just the numbers:", "So the numbers in a row are"))
    return f"{opening} {listed}. Yes, {values[-1]}."


def _reread(problem: Problem, lines: list[SolvedStep], rng: Random) -> str:
    opening = rng.choice(("Did I read it right?", "Hmm, let me read it again."))
    return f"{opening} The question is {problem.asked}. That is {_answer(lines)}."


def _one_step(problem: Problem, lines: list[SolvedStep], rng: Random) -> str:
    written = [line for line in lines if line.operations]
    if not written:
        return _reread(problem, lines, rng)
    opening = rng.choice(("Let me look at one step.", "Maybe one step is hard."))
    return f"{opening} {_recount(rng.choice(written))} That is fine."


def _check_without_end(problem: Problem, lines: list[SolvedStep], rng: Random) -> str:
    rounds = []
    for _ in range(ENDLESS_ROUNDS):
        again = rng.choice((_full_check, _numbers, _reread))(problem, lines, rng)
        rounds.append(f"I am still not sure. {again}")
    return "\n".join(rounds)


def _conclude(answer: int, rng: Random) -> str:
    sentences = ("So the answer is {}.", "Good, the answer is {}.", "I am done, it is {}.")
    return rng.choice(sentences).format(answer)


CHECKS: tuple[Check, ...] = (_full_check, _numbers, _reread, _one_step)
CHECK_WEIGHTS = (40, 22, 18, 20)


LONGEST_CHARS = 1_500
"""Where a trace without end is cut; it has no answer."""


def main() -> None:
    """Writes teacher traces of fresh problems, one JSON object a line."""
    parser = argparse.ArgumentParser(
        prog="python -m nano.teacher", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--out", type=Path, required=True, help="file of JSON lines")
    parser.add_argument("--questions", type=int, default=1750)
    parser.add_argument("--traces", type=int, default=8, help="per question")
    parser.add_argument("--care", type=float, default=0.8, help="scales the chance of a slip")
    parser.add_argument("--seed", type=int, default=77)
    arguments = parser.parse_args()
    rng = Random(arguments.seed)
    drawn = problems(rng, exclude=fixed_question_texts())
    with arguments.out.open("w", encoding="utf-8") as file:
        for number, problem in enumerate(itertools.islice(drawn, arguments.questions)):
            for trace_number in range(arguments.traces):
                trace = write_trace(problem, rng, arguments.care)
                row = {
                    "question_id": f"t{number}",
                    "question": problem.text,
                    "gold": str(problem.answer),
                    "model": "nano-teacher",
                    "run": f"seed-{arguments.seed}",
                    "trace": trace_number,
                    "text": trace.text if trace.answer is not None else trace.text[:LONGEST_CHARS],
                    "answer": None if trace.answer is None else str(trace.answer),
                }
                file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
