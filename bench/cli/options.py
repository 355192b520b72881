"""Groups of flags that several commands share, and what the flags of live servers say."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from orchestrator.cli.argtypes import positive
from orchestrator.cli.flags import (
    PROMPT_FLAGS,
    SERVER_FLAGS,
    add_preset_argument,
    add_prompt_arguments,
    add_server_arguments,
    add_setting_arguments,
    settings_of_flags,
)

if TYPE_CHECKING:
    from bench.programs.live import LiveOptions

__all__ = [
    "add_half_argument",
    "add_live_arguments",
    "add_ray_argument",
    "live_options",
]


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
    add_server_arguments(group)
    group.add_argument(
        "--questions",
        metavar="FILE|NAME",
        help="a file with id, question, answer; or aime24, aime25, math-500, gpqa, amc, gsm8k from the hub",
    )
    add_prompt_arguments(group)
    add_preset_argument(group)
    add_setting_arguments(group)
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
        flags=settings_of_flags(arguments, [*SERVER_FLAGS, *PROMPT_FLAGS]),
        assignments=[*arguments.set, *assignments],
        config=arguments.config,
        local=arguments.local,
        at_once=arguments.at_once,
        streams=arguments.streams,
        ray=arguments.ray,
    )
