"""Groups of flags that several commands share, and what the flags of live servers say."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.cli.argtypes import positive, text_or_file

if TYPE_CHECKING:
    from bench.programs.live import LiveOptions

__all__ = [
    "add_half_argument",
    "add_live_arguments",
    "add_ray_argument",
    "live_options",
]

_SETTINGS_OF_FLAGS = {
    "endpoint": "endpoint.urls",
    "model": "endpoint.model",
    "judge_endpoint": "judge.url",
    "judge": "judge.spec",
    "reward_endpoint": "reward.url",
    "prompt": "prompt.name",
    "system": "prompt.system",
}


def add_half_argument(parser: argparse.ArgumentParser) -> None:
    """The flag that chooses half of the recorded questions."""
    parser.add_argument(
        "--half",
        choices=("tune", "report", "all"),
        default="all",
        help="half of the questions, by a hash of their text",
    )


def add_ray_argument(parser: argparse.ArgumentParser) -> None:
    """The flag that spreads questions over machines."""
    parser.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="run in Ray tasks, one question each: HOST:PORT, auto, or local",
    )


def add_live_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags that name servers and questions, and how many questions and streams run at once."""
    group = parser.add_argument_group("live servers")
    group.add_argument(
        "--endpoint", action="append", metavar="URL", help="the reasoner's server; may be repeated"
    )
    group.add_argument("--model", metavar="NAME", help="default: the one that the server serves")
    group.add_argument(
        "--judge-endpoint",
        action="append",
        metavar="URL",
        help="the judge's server; may be repeated",
    )
    group.add_argument("--judge", metavar="SPEC", help="a name in configs/judges, or a YAML file")
    group.add_argument("--reward-endpoint", metavar="URL", help="for votes by reward")
    group.add_argument("--local", action="store_true", help="the bundled nano models")
    group.add_argument(
        "--questions",
        metavar="FILE|NAME",
        help="a file with id, question, answer; or aime24, aime25, math-500, gpqa, amc, gsm8k from the hub",
    )
    group.add_argument(
        "--prompt",
        metavar="NAME|FILE",
        help="a name in configs/prompts, or a YAML file; default: as for deepprune-orchestrate, or the one of the named "
        "benchmark",
    )
    group.add_argument(
        "--system", type=text_or_file, metavar="TEXT|@FILE", help="the system message"
    )
    group.add_argument(
        "--preset",
        metavar="NAME|FILE",
        help="settings for a family of models: a name in configs/models, or a YAML file; default: none, nano with --local",
    )
    group.add_argument("--config", type=Path, metavar="FILE", help="YAML with any of the settings")
    group.add_argument(
        "--set", action="append", default=[], metavar="A.B=C", help="one setting; may be repeated"
    )
    group.add_argument(
        "--at-once", type=positive, default=4, metavar="N", help="questions side by side"
    )
    group.add_argument(
        "--streams",
        type=positive,
        default=64,
        metavar="N",
        help="streams open at once, over all questions",
    )


def live_options(arguments: argparse.Namespace, assignments: Sequence[str] = ()) -> "LiveOptions":
    """What the flags of `add_live_arguments` and `add_ray_argument` say; `assignments` come after those of --set."""
    from bench.programs.live import LiveOptions

    return LiveOptions(
        questions=arguments.questions,
        preset=arguments.preset,
        flags={path: getattr(arguments, flag) for flag, path in _SETTINGS_OF_FLAGS.items()},
        assignments=[*arguments.set, *assignments],
        config=arguments.config,
        local=arguments.local,
        at_once=arguments.at_once,
        streams=arguments.streams,
        ray=arguments.ray,
    )
