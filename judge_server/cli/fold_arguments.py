"""The flags that the commands of cross-validation share, and what they ask for."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from judge_server.cli.arguments import add_init, add_recipe, add_traces, add_vectors
from orchestrator.cli.argtypes import positive
from orchestrator.errors import ConfigError

if TYPE_CHECKING:
    from judge_server.training.cross_validation import CrossValidation

__all__ = ["add_cross_validation", "cross_validation"]


def add_cross_validation(parser: argparse.ArgumentParser) -> None:
    """The flags of a cross-validation, all but the number of questions."""
    add_recipe(parser)
    add_traces(parser)
    add_init(parser)
    add_vectors(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="for the scores")
    parser.add_argument(
        "--folds", type=positive, default=5, metavar="K", help="at least 2 (default: 5)"
    )
    parser.add_argument(
        "--train-model",
        metavar="NAME",
        help="train on this model's traces only, and test on all",
    )
    parser.add_argument(
        "--cut",
        metavar="CUT",
        help="where traces are cut, as words:25, tokens:500 or percent:20 (default: the judge's own)",
    )
    parser.add_argument(
        "--chars", type=positive, metavar="N", help="of a segment's end that the judge is shown"
    )
    parser.add_argument(
        "--tokenizer", type=Path, metavar="DIR", help="counts tokens; default: that of --init"
    )
    parser.add_argument(
        "--pairs-per-question",
        type=positive,
        default=100,
        metavar="N",
        help="that are scored (default: 100); --set pairs_per_question is for training",
    )
    parser.add_argument(
        "--both-orders", action="store_true", help="score each pair in the other order too"
    )


def cross_validation(arguments: argparse.Namespace, *, questions: int | None) -> "CrossValidation":
    """What the flags ask for. Raises ConfigError for flags that contradict each other."""
    from judge_server.data.truncation import Truncation, read_cuts
    from judge_server.training.cross_validation import CrossValidation
    from judge_server.training.data import TrainingSource
    from judge_server.training.job import TrainingJob
    from judge_server.training.settings import read_train_settings, settings_file
    from orchestrator.config.shipped import judge_spec

    if arguments.folds < 2:
        raise ConfigError("Cross-validation needs --folds K of at least 2.")
    spec = judge_spec(arguments.config)
    if arguments.chars is not None:
        spec = spec.model_copy(update={"max_segment_chars": arguments.chars})
    cuts = [Truncation.of_judge(spec)]
    if arguments.cut is not None:
        cuts = read_cuts(arguments.cut, flag="--cut")
    if len(cuts) != 1:
        raise ConfigError("--cut takes one cut, such as percent:20.")
    is_cut_by_tokens = cuts[0].unit == "tokens"
    if arguments.tokenizer and not is_cut_by_tokens:
        raise ConfigError("--tokenizer is for a cut by tokens; remove it.")
    job = TrainingJob(
        spec=spec,
        settings=read_train_settings(
            arguments.settings or settings_file(arguments.config), arguments.set
        ),
        source=TrainingSource(
            traces=arguments.traces,
            tokenizer=arguments.tokenizer or Path(arguments.init) if is_cut_by_tokens else None,
        ),
        init=arguments.init,
        out=arguments.out,
        vectors=arguments.vectors,
    )
    return CrossValidation(
        job=job,
        folds=arguments.folds,
        cut=cuts[0],
        train_model=arguments.train_model,
        questions=questions,
        test_pairs=arguments.pairs_per_question,
        both_orders=arguments.both_orders,
    )
