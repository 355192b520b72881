"""Cross-validate a judge on more and more of the training questions, and say what the curve promises.

deepprune-judge learning-curve --config smollm2-head --traces traces.jsonl.gz --init smollm2-float32 \
  --vectors vectors.safetensors --out curve

A folder of scores for each point, report.md, and the curve as PNG and SVG. A command that is started again goes on with
the next fold.
"""

import argparse

from judge_server.cli.fold_arguments import add_cross_validation, cross_validation
from orchestrator.errors import ConfigError

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of this command."""
    add_cross_validation(parser)
    parser.add_argument(
        "--fractions",
        default="0.25,0.5,1",
        metavar="LIST",
        help="of the training questions, each more than 0 and at most 1 (default: 0.25,0.5,1)",
    )


def run(arguments: argparse.Namespace) -> None:
    """Trains and scores every point, and prints the table and what it promises."""
    fractions = _fractions(arguments.fractions)
    asked = cross_validation(arguments, questions=None)
    from judge_server.training.learning_curve import curve_text, draw_curve, learning_curve

    curve = learning_curve(asked, fractions)
    text = curve_text(curve)
    print(text, end="")
    draw_curve(curve, arguments.out / "curve")
    (arguments.out / "report.md").write_text(f"# Learning curve\n\n{text}", encoding="utf-8")


def _fractions(text: str) -> list[float]:
    try:
        found = sorted({float(item) for item in text.split(",")})
    except ValueError:
        found = []
    if not found or not all(0.0 < one <= 1.0 for one in found):
        raise ConfigError(f"--fractions cannot be {text!r}; write it as 0.25,0.5,1.")
    return found
