"""What `run` and `record` share: the flags of live servers, and a live benchmark from them."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.cli.argtypes import positive

if TYPE_CHECKING:
    from bench.results.outcomes import Outcome

__all__ = ["add_live_arguments", "play_live"]

_FLAGS = {
    "endpoint": "endpoint.urls",
    "model": "endpoint.model",
    "judge_endpoint": "judge.url",
    "judge": "judge.spec",
    "reward_endpoint": "reward.url",
}


def add_live_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags that name servers, questions and how many of them at once."""
    group = parser.add_argument_group("live servers")
    group.add_argument("--endpoint", action="append", metavar="URL", help="the reasoner's server")
    group.add_argument("--model", metavar="NAME")
    group.add_argument("--judge-endpoint", metavar="URL")
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
        metavar="NAME",
        help="in configs/prompts, or a YAML file; default: plain, or what the named benchmark wants",
    )
    group.add_argument("--config", type=Path, metavar="FILE", help="YAML with any of the settings")
    group.add_argument("--set", action="append", default=[], metavar="A.B=C")
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


def play_live(
    arguments: argparse.Namespace, policies: Sequence[str], *, traces: int, out: Path
) -> "list[Outcome]":
    """The outcomes of the policies on the servers that the flags name, from this process or from Ray tasks.

    Raises:
        KeyboardInterrupt: the user ended it; what is finished stays finished.
    """
    import asyncio
    import sys

    from bench.data.datasets import HUB, read_named
    from bench.data.prompts import apply_prompt, read_prompt
    from bench.live.plan import LivePlan, count_finished
    from bench.live.run import run_live
    from bench.specs.policy_spec import parse_policy
    from orchestrator.errors import ConfigError
    from orchestrator.interrupts import Interrupts
    from orchestrator.runtime.endpoints import Keys
    from orchestrator.terminal.progress import progress_bar

    if arguments.questions is None:
        raise ConfigError("There are no questions; give --questions FILE or a name such as aime24.")
    if arguments.local and arguments.ray is not None:
        raise ConfigError(
            "--local serves this machine alone; with --ray, name servers that all machines reach with --endpoint URL."
        )
    if not arguments.local and not arguments.endpoint:
        raise ConfigError(
            "No reasoner is given; name its server with --endpoint URL, or use --local."
        )
    known = HUB.get(arguments.questions.lower())
    prompt = read_prompt(arguments.prompt or (known.prompt if known else "plain"))
    flags = {path: getattr(arguments, flag) for flag, path in _FLAGS.items()}
    specs = [
        parse_policy(
            text,
            [*prompt.assignments, *arguments.set],
            file=arguments.config,
            environ=os.environ,
            flags=flags,
        )
        for text in policies
    ]
    questions = [apply_prompt(question, prompt) for question in read_named(arguments.questions)]
    interrupts = Interrupts(lambda text: print(text, file=sys.stderr))
    plan = LivePlan(
        questions=questions,
        specs=specs,
        out=out,
        traces=traces,
        at_once=arguments.at_once,
        streams=arguments.streams,
        local=arguments.local,
        keys=Keys.of(os.environ),
    )
    total, done = len(questions) * len(specs), count_finished(plan)
    with progress_bar(total, "questions x policies", done=done) as advance:
        if arguments.ray is not None:
            from bench.distributed.ray_tasks import connect_ray

            with connect_ray(arguments.ray) as cluster:
                return cluster.play(plan, advance=advance)
        outcomes = asyncio.run(run_live(plan, interrupts, advance))
    if interrupts.requested.is_set():
        raise KeyboardInterrupt
    return outcomes
