"""The fixed questions on which the nano models are measured; training uses none of them.

`python -m nano.questions` writes their file.
"""

import argparse
import itertools
from pathlib import Path
from random import Random

from nano.task import problems
from orchestrator.questions import Question, read_questions, to_jsonl

__all__ = [
    "FIXED_QUESTIONS",
    "fixed_question_texts",
    "fresh_questions",
    "main",
    "make_fixed_questions",
]

FIXED_QUESTIONS = Path(__file__).parent / "data" / "questions.jsonl"
FIXED_COUNT = 200
FIXED_SEED = 20_251


def fixed_question_texts() -> frozenset[str]:
    """The texts that no training problem may have."""
    return frozenset(question.question for question in read_questions(FIXED_QUESTIONS))


def fresh_questions(count: int, seed: int, prefix: str = "fresh") -> list[Question]:
    """Questions that are not among the fixed ones."""
    drawn = itertools.islice(problems(Random(seed), exclude=fixed_question_texts()), count)
    return [
        Question(
            id=f"{prefix}-{seed}-{number:05d}", question=problem.text, gold=str(problem.answer)
        )
        for number, problem in enumerate(drawn)
    ]


def make_fixed_questions() -> list[Question]:
    """The fixed questions, from their seed."""
    drawn = itertools.islice(problems(Random(FIXED_SEED)), FIXED_COUNT)
    return [
        Question(id=f"nano-{number:03d}", question=problem.text, gold=str(problem.answer))
        for number, problem in enumerate(drawn)
    ]


def main() -> None:
    """Writes the fixed questions."""
    parser = argparse.ArgumentParser(
        prog="python -m nano.questions", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--out", type=Path, default=FIXED_QUESTIONS, help="file of JSON lines")
    parser.parse_args().out.write_text(to_jsonl(make_fixed_questions()), encoding="utf-8")


if __name__ == "__main__":
    main()
