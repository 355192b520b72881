"""cons@n for every n, from one recorded `consensus` run: `python -m bench.votes RUN [--votes 1 2 4 ...]`.

From the N finished traces of each question, n are drawn without replacement, many times over; the vote of
each draw is compared with the gold answer. So a plain vote at any cost stands beside another policy's bill.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from bench.readers.journals import journals_of
from orchestrator.core.vote import majority
from orchestrator.errors import DatasetError, DeepPruneError
from orchestrator.journal import read_journal
from orchestrator.view import RunView

__all__ = ["Recorded", "VoteCurvePoint", "read_recorded", "vote_curve"]

DRAWS = 200


class Recorded(NamedTuple):
    """One question's finished traces; arrays of shape (traces,) in order of finishing."""

    question_id: str
    answers: list[str | None]
    tokens: NDArray[np.int64]
    correct: frozenset[str]


class VoteCurvePoint(NamedTuple):
    """cons@n over all questions: mean accuracy over draws, its 95 % interval over questions, mean tokens."""

    n: int
    accuracy: float
    low: float
    high: float
    tokens_per_question: float


def read_recorded(run_dir: Path) -> Iterator[Recorded]:
    """The questions of a run's folder (its subfolders, or itself), each with its finished traces.

    Raises:
        DatasetError: there is no journal, or a question has no gold answer.
    """
    for journal in journals_of(run_dir):
        view = RunView.of(read_journal(journal), keep_text=False)
        if view.run is None or view.run.gold is None or view.finished is None:
            raise DatasetError(
                f"{journal} is unfinished or has no gold answer; finish the run first."
            )
        finished = [trace for trace in view.traces.values() if trace.ending == "finished"]
        finished.sort(key=lambda trace: trace.ended_at or 0.0)
        yield Recorded(
            view.run.question_id,
            [trace.answer for trace in finished],
            np.array([trace.tokens for trace in finished]),
            frozenset(view.finished.correct_answers),
        )


def vote_curve(
    questions: Sequence[Recorded], votes: Iterable[int], rng: np.random.Generator
) -> Iterator[VoteCurvePoint]:
    """A point of the curve for every n in `votes` that all questions have traces for."""
    fewest = min(len(question.answers) for question in questions)
    for n in votes:
        if n <= fewest:
            yield _point(questions, n, rng)


def _point(questions: Sequence[Recorded], n: int, rng: np.random.Generator) -> VoteCurvePoint:
    shares = [_share_correct(question, n, rng) for question in questions]
    accuracy = float(np.mean(shares))
    interval = binomtest(round(sum(shares)), len(shares)).proportion_ci(method="wilson")
    tokens = float(np.mean([question.tokens.mean() * n for question in questions]))
    return VoteCurvePoint(n, accuracy, float(interval.low), float(interval.high), tokens)


def _share_correct(question: Recorded, n: int, rng: np.random.Generator) -> float:
    """How often the vote of n traces is right."""
    right = 0
    for _ in range(DRAWS):
        drawn = np.sort(rng.choice(len(question.answers), size=n, replace=False))
        vote = majority((question.answers[index] for index in drawn), min_ballots=1, at=0.0)
        right += vote.answer in question.correct
    return right / DRAWS


def main(argv: Sequence[str] | None = None) -> int:
    """The command; prints a Markdown table."""
    parser = argparse.ArgumentParser(prog="python -m bench.votes", description=__doc__)
    parser.add_argument("run", type=Path, help="folder of a finished consensus run")
    parser.add_argument("--votes", type=int, nargs="+", default=[1, 2, 3, 4, 6, 8, 16, 32, 64])
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args(argv)
    try:
        questions = list(read_recorded(arguments.run))
    except DeepPruneError as error:
        print(f"votes: {error}", file=sys.stderr)
        return error.exit_code
    print(f"{len(questions)} questions, {DRAWS} draws each\n")
    print("| vote | accuracy | 95 % interval | tokens/question |")
    print("|---|---|---|---|")
    for point in vote_curve(questions, arguments.votes, np.random.default_rng(arguments.seed)):
        interval = f"{point.low:.3f} to {point.high:.3f}"
        print(
            f"| cons@{point.n} | {point.accuracy:.3f} | {interval} | {point.tokens_per_question:,.0f} |"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
