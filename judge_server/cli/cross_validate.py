"""Train and score one judge for each fold of the questions, so that every question is scored by a judge that never saw it.

deepprune-judge cross-validate --config smollm2 --traces traces.jsonl.gz --init smollm2-float32 --folds 5 --out cv
deepprune-judge evaluate --traces traces.jsonl.gz --judge words --judge cv --pairs-per-question 100

The folder holds scores, no weights: `evaluate` takes it as a judge and compares it with others on the same pairs. A
command that is started again goes on with the next fold.
"""

import argparse

from judge_server.cli.fold_arguments import add_cross_validation, cross_validation
from orchestrator.cli.argtypes import positive

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of this command."""
    add_cross_validation(parser)
    parser.add_argument(
        "--questions", type=positive, metavar="N", help="that each fold trains on (default: all)"
    )


def run(arguments: argparse.Namespace) -> None:
    """Trains, scores, and prints the AUROCs over all folds."""
    asked = cross_validation(arguments, questions=arguments.questions)
    from judge_server.training.cross_validation import cross_validate

    print(cross_validate(asked))
