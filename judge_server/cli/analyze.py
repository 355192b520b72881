"""What recorded traces say before a judge is trained: agreement, difficulty, lengths to the cut, untrained judges.

deepprune-judge analyze --traces traces.jsonl.gz --out analysis
deepprune-judge analyze --traces traces.jsonl --judge words --judge http://judge:8001/v1 --spec qwen3-4b-instruct

Prints Markdown tables, or with --json one line per model and judge.
"""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from judge_server.cli.arguments import add_traces
from orchestrator.cli.argtypes import positive

if TYPE_CHECKING:
    from judge_server.analysis.analyze import AnalysisRequest

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of this command."""
    add_traces(parser)
    parser.add_argument(
        "--judge",
        action="append",
        default=[],
        metavar="URL|DIR|BASELINE",
        help="for the ROC curves, may be repeated (default: words, overlap, and the sentence encoder if installed)",
    )
    parser.add_argument(
        "--spec", action="append", default=[], metavar="NAME|FILE", help="how to ask a judge"
    )
    cut = parser.add_mutually_exclusive_group()
    cut.add_argument(
        "--words",
        type=positive,
        default=25,
        metavar="K",
        help="reasoning words before the cut (default: 25)",
    )
    cut.add_argument("--tokens", type=positive, metavar="K", help="tokens before the cut")
    parser.add_argument(
        "--word-list", metavar="NAME|FILE", help="a name in configs/words, or a YAML file"
    )
    parser.add_argument("--tokenizer", type=Path, metavar="DIR", help="counts tokens")
    parser.add_argument(
        "--pairs-per-question",
        type=positive,
        default=300,
        metavar="N",
        help="that judges are measured on (default: 300)",
    )
    parser.add_argument(
        "--concurrency",
        type=positive,
        default=8,
        metavar="N",
        help="requests to an address at a time (default: 8)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="for pairs, orders and intervals (default: 0)"
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="write report.md and the pictures, as PNG and SVG"
    )
    parser.add_argument("--json", action="store_true", help="JSON lines on stdout")


def run(arguments: argparse.Namespace) -> None:
    """Analyses, writes the pictures if wanted, and prints the figures."""
    from judge_server.analysis.analyze import analyze
    from judge_server.analysis.pictures import write_pictures
    from judge_server.analysis.text import analysis_text
    from judge_server.evaluation.evaluate import check_writable

    if arguments.out is not None:
        check_writable(arguments.out)
    request = _request(arguments)
    found = analyze(request)
    cut = str(request.cut)
    if arguments.out is not None:
        names = write_pictures(arguments.out, found.models, found.results, cut)
        shown = [f"{name}.svg" for name in names]
        text = analysis_text(found.models, found.results, found.notes, cut=cut, pictures=shown)
        (arguments.out / "report.md").write_text(f"# Traces\n\n{text}", encoding="utf-8")
    if not arguments.json:
        print(analysis_text(found.models, found.results, found.notes, cut=cut), end="")
        return
    for model in found.models:
        print(json.dumps(model.line()))
    for result in found.results:
        print(json.dumps({"judge": result.name, **result.figures.line()}))


def _request(arguments: argparse.Namespace) -> "AnalysisRequest":
    from judge_server.analysis.analyze import AnalysisRequest
    from judge_server.data.truncation import Truncation
    from judge_server.evaluation.candidates import QueryOptions
    from judge_server.evaluation.pair_source import SamplingOptions

    tokens = arguments.tokens
    return AnalysisRequest(
        sources=arguments.traces,
        judges=arguments.judge,
        query=QueryOptions(arguments.spec, None, arguments.concurrency),
        cut=Truncation(tokens, "tokens") if tokens else Truncation(arguments.words),
        sampling=SamplingOptions(
            pairs_per_question=arguments.pairs_per_question,
            seed=arguments.seed,
            word_list=arguments.word_list,
            tokenizer=arguments.tokenizer,
        ),
    )
