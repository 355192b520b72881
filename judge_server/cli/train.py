"""Train a judge from a model, and traces or pairs.

deepprune-judge train --config configs/judges/nano.yaml --traces traces.jsonl --init nano/weights/reasoner --out judge
accelerate launch -m judge_server.cli.main train --config qwen3-4b --pairs pairs/train.json --init MODEL --out judge
deepprune-judge train --plan --config qwen3-4b --pairs pairs/train.json --init MODEL --out judge --devices 4

Settings are in NAME-train.yaml beside the judge's YAML. An interrupted training continues with --resume.
"""

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from judge_server.cli.arguments import add_init, add_recipe, add_source, add_vectors
from orchestrator.cli.argtypes import positive
from orchestrator.errors import ConfigError

if TYPE_CHECKING:
    from judge_server.data.splits import Fold
    from judge_server.training.data import TrainingSource
    from judge_server.training.job import TrainingJob
    from orchestrator.core.judging import JudgeSpec

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of this command."""
    add_recipe(parser)
    add_source(parser)
    parser.add_argument(
        "--validation-pairs",
        type=Path,
        metavar="FILE",
        help="pairs that choose the best epoch; then all of --pairs is trained on",
    )
    add_init(parser)
    add_vectors(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="for the judge")
    _add_truncation(parser)
    parser.add_argument(
        "--folds", type=int, metavar="K", help="divide the questions into K folds, and test on one"
    )
    parser.add_argument("--fold", type=int, metavar="I", help="the fold to test on, from 0 to K-1")
    parser.add_argument(
        "--checkpoint-steps",
        type=positive,
        metavar="N",
        help="save the training state every N steps too, not only after each epoch",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="continue the unfinished training in --out, if there is one",
    )

    _add_plan(parser.add_argument_group("plan"))


def _add_plan(plan: "argparse._ArgumentGroup") -> None:
    plan.add_argument(
        "--plan",
        action="store_true",
        help="train nothing: try the settings on a tiny random model of the same architecture, and print memory, steps, tokens, time and the command",
    )
    plan.add_argument(
        "--devices",
        type=positive,
        metavar="N",
        help="GPUs of the plan (default: those of this machine)",
    )


def _add_truncation(parser: argparse.ArgumentParser) -> None:
    cut = parser.add_mutually_exclusive_group()
    cut.add_argument("--words", type=positive, metavar="K", help="reasoning words before the cut")
    cut.add_argument("--tokens", type=positive, metavar="K", help="tokens before the cut")
    parser.add_argument(
        "--tokenizer",
        type=Path,
        metavar="DIR",
        help="counts the tokens of --tokens; default: that of --init",
    )


def run(arguments: argparse.Namespace) -> None:
    """Trains the judge and writes a folder that transformers and vLLM load."""
    job = _job(arguments)
    if arguments.plan:
        from judge_server.training.plan import plan_text, plan_training

        print(plan_text(plan_training(job, devices=arguments.devices)), end="")
        return
    if arguments.devices is not None:
        raise ConfigError("--devices is for --plan; accelerate launch has --num_processes.")
    from judge_server.training.train import train

    train(job)


def _job(arguments: argparse.Namespace) -> "TrainingJob":
    from judge_server.training.job import TrainingJob
    from judge_server.training.settings import read_train_settings, settings_file

    spec = _spec(arguments)
    return TrainingJob(
        spec=spec,
        settings=read_train_settings(
            arguments.settings or settings_file(arguments.config), arguments.set
        ),
        source=_source(arguments, spec),
        fold=_fold(arguments),
        init=arguments.init,
        out=arguments.out,
        resume=arguments.resume,
        checkpoint_steps=arguments.checkpoint_steps,
        command=_command(arguments),
        vectors=arguments.vectors,
    )


def _spec(arguments: argparse.Namespace) -> "JudgeSpec":
    """The judge's spec, with the cut that the flags ask for."""
    from orchestrator.config.shipped import judge_spec

    spec = judge_spec(arguments.config)
    if arguments.words is not None:
        return spec.model_copy(update={"segment_words": arguments.words, "segment_tokens": None})
    if arguments.tokens is not None:
        return spec.model_copy(update={"segment_tokens": arguments.tokens})
    return spec


def _source(arguments: argparse.Namespace, spec: "JudgeSpec") -> "TrainingSource":
    from judge_server.training.data import TrainingSource

    if arguments.validation_pairs and (arguments.traces or arguments.folds):
        raise ConfigError("--validation-pairs needs --pairs and excludes --folds.")
    is_cut_by_tokens = bool(arguments.traces) and spec.segment_tokens is not None
    if arguments.tokenizer and not is_cut_by_tokens:
        raise ConfigError("--tokenizer is for --traces that are cut by --tokens; remove it.")
    return TrainingSource(
        traces=arguments.traces or (),
        pairs=arguments.pairs,
        validation_pairs=arguments.validation_pairs,
        tokenizer=arguments.tokenizer or Path(arguments.init) if is_cut_by_tokens else None,
    )


def _fold(arguments: argparse.Namespace) -> "Fold | None":
    from judge_server.data.splits import Fold

    number, folds = arguments.fold, arguments.folds
    if number is None and folds is None:
        return None
    if number is None or folds is None or not 0 <= number < folds or folds < 2:
        raise ConfigError(
            "Cross-validation needs --folds K of at least 2 and --fold I from 0 to K-1."
        )
    return Fold(number, folds)


def _command(arguments: argparse.Namespace) -> str:
    """The command line for the model card, without --resume."""
    words = ["deepprune-judge", "train"]
    for name, value in vars(arguments).items():
        if name not in ("command", "resume", "plan", "devices") and value is not None:
            for item in value if isinstance(value, list) else [value]:
                words += [f"--{name.replace('_', '-')}", str(item)]
    return shlex.join(words)
