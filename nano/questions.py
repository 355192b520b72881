"""The fixed questions on which the nano models are measured; none of them is trained on."""

import itertools
import json
from dataclasses import dataclass
from pathlib import Path
from random import Random

from nano.task import problems

__all__ = [
    "FIXED_QUESTIONS",
    "Question",
    "fixed_question_texts",
    "fresh_questions",
    "read_questions",
]

FIXED_QUESTIONS = Path(__file__).parent / "data" / "questions.jsonl"
FIXED_COUNT = 200
FIXED_SEED = 20_251


@dataclass(frozen=True, slots=True)
class Question:
    """A question and its exact answer in decimal digits."""

    id: str
    question: str
    answer: str


def read_questions(path: Path = FIXED_QUESTIONS) -> list[Question]:
    """The questions of a JSON lines file with id, question and answer."""
    rows = (json.loads(line) for line in path.read_text().splitlines() if line.strip())
    return [Question(str(row["id"]), row["question"], str(row["answer"])) for row in rows]


def fixed_question_texts() -> frozenset[str]:
    """What no training problem may be."""
    return frozenset(question.question for question in read_questions())


def fresh_questions(count: int, seed: int, prefix: str = "fresh") -> list[Question]:
    """Questions that are not among the fixed ones."""
    drawn = itertools.islice(problems(Random(seed), exclude=fixed_question_texts()), count)
    return [
        Question(f"{prefix}-{seed}-{number:05d}", problem.text, str(problem.answer))
        for number, problem in enumerate(drawn)
    ]


def main() -> None:
    """Writes the fixed questions."""
    drawn = itertools.islice(problems(Random(FIXED_SEED)), FIXED_COUNT)
    rows = (
        {"id": f"nano-{number:03d}", "question": problem.text, "answer": str(problem.answer)}
        for number, problem in enumerate(drawn)
    )
    FIXED_QUESTIONS.write_text("".join(json.dumps(row) + "\n" for row in rows))


if __name__ == "__main__":
    main()
