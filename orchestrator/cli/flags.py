"""Flags that are settings, for every command that asks questions: servers, method, and where other settings come from.

Settings are only imported once flags are read, so that `--help` answers at once.
"""

import argparse
from collections.abc import Collection
from pathlib import Path
from typing import Any

from orchestrator.cli.argtypes import text_or_file

__all__ = [
    "PROMPT_FLAGS",
    "SERVER_FLAGS",
    "add_endpoint_arguments",
    "add_method_arguments",
    "add_preset_argument",
    "add_prompt_arguments",
    "add_server_arguments",
    "add_setting_arguments",
    "preset_of",
    "settings_of_flags",
]

_PATHS = {
    "endpoint": "endpoint.urls",
    "judge_endpoint": "judge.url",
    "judge": "judge.spec",
    "reward_endpoint": "reward.url",
    "policy": "policy.name",
    "out": "run.out",
}
"""The flags that are settings, beside those with a keyword argument of the same name in the Python API."""


SERVER_FLAGS = ("endpoint", "model", "judge_endpoint", "judge_model", "judge", "reward_endpoint")
PROMPT_FLAGS = ("prompt", "system")


def settings_of_flags(
    arguments: argparse.Namespace, only: Collection[str] | None = None
) -> dict[str, Any]:
    """The settings among the flags of a command, by dotted path; None for a flag that was not given.

    `only` names those that are settings, for a command whose other flags of the same names are something else.
    """
    from orchestrator.config.keywords import KEYWORDS

    paths = {flag: path for flag, path in KEYWORDS.items() if flag != "judge_spec"} | _PATHS
    given = vars(arguments)
    chosen = paths.keys() & given.keys() & (paths.keys() if only is None else set(only))
    return {path: given[flag] for flag, path in paths.items() if flag in chosen}


def preset_of(arguments: argparse.Namespace) -> str | None:
    """The preset that was named; that of the bundled models with --local."""
    from orchestrator.config.presets import LOCAL_PRESET

    preset: str | None = arguments.preset
    return preset or (LOCAL_PRESET if arguments.local else None)


def add_prompt_arguments(group: Any) -> None:
    """The words around a question."""
    group.add_argument(
        "--prompt",
        metavar="NAME|FILE",
        help="the words around a question: a name in configs/prompts, or a YAML file; plain: none; default: an "
        "instruction to put the answer into \\boxed{}, where the question gives none and the model needs one",
    )
    group.add_argument(
        "--system",
        type=text_or_file,
        metavar="TEXT|@FILE",
        help="the system message of chats that have none of their own",
    )


def add_endpoint_arguments(group: Any) -> None:
    """The servers of the reasoner and the judge."""
    group.add_argument(
        "--endpoint",
        action="append",
        metavar="URL",
        help="the reasoner's server, http://HOST:PORT/v1; may be repeated",
    )
    group.add_argument("--model", metavar="NAME", help="default: the only one that it serves")
    group.add_argument(
        "--judge-endpoint",
        action="append",
        metavar="URL",
        help="the judge's server; may be repeated",
    )
    group.add_argument("--judge-model", metavar="NAME", help="default: the only one that it serves")
    group.add_argument("--judge", metavar="SPEC", help="a name in configs/judges, or a YAML file")


def add_server_arguments(group: Any) -> None:
    """The servers of the reasoner, the judge and the reward model."""
    add_endpoint_arguments(group)
    group.add_argument(
        "--reward-endpoint", metavar="URL", help="the reward model's server, for votes by reward"
    )
    group.add_argument(
        "--local",
        action="store_true",
        help="the bundled nano models on local vLLM: no GPU, no download",
    )


def add_method_arguments(group: Any) -> None:
    """The policy, the model's family and how traces are sampled."""
    group.add_argument(
        "--policy",
        metavar="NAME",
        help="auto, deepprune, consensus, pass1 or a baseline; default: auto, or deepprune with --judge-endpoint",
    )
    group.add_argument("--effort", metavar="low|medium|high", help="what --policy auto may spend")
    group.add_argument("--traces", metavar="N", help="traces planned for a question")
    group.add_argument("--tau", metavar="P", help="similarity above which a trace joins a cluster")
    group.add_argument("--min-ballots", metavar="N", help="with fewer, the answer is null")
    add_preset_argument(group)
    group.add_argument("--temperature", metavar="T", help="default: the model's own")
    group.add_argument("--top-p", metavar="P", help="default: the model's own")
    group.add_argument("--max-tokens", metavar="N", help="per trace; default: the model's context")
    group.add_argument("--concurrency", metavar="N", help="streams open at once")
    group.add_argument(
        "--at-checkpoint", metavar="pause|run", help="what a trace does while the judge decides"
    )
    group.add_argument("--seed", metavar="N", help="for the policy's own draws")


def add_setting_arguments(group: Any) -> None:
    """A file of settings, and single ones."""
    group.add_argument("--config", type=Path, metavar="FILE", help="YAML with any of the settings")
    group.add_argument(
        "--set", action="append", default=[], metavar="A.B=C", help="one setting; may be repeated"
    )


def add_preset_argument(group: Any) -> None:
    """The family of the reasoner's model."""
    group.add_argument(
        "--preset",
        metavar="NAME|FILE",
        help="settings for a family of models: a name in configs/models, or a YAML file; default: none, nano with --local",
    )
