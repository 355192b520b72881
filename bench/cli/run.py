"""Accuracy and cost of policies, with intervals, on recorded traces or on live servers.

deepprune-bench run --replay aime24.json --policy auto --policy cons@16 --policy deepprune --json
deepprune-bench run --endpoint http://gpu:8000/v1 --questions aime.jsonl --policy auto --out runs/aime
"""

import argparse
import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.cli.options import add_live_arguments, play_live
from orchestrator.cli.argtypes import positive

if TYPE_CHECKING:
    from bench.data.recorded import RecordedQuestion
    from bench.replay.replay import ReplayPlan
    from bench.results.outcomes import Outcome
    from bench.specs.policy_spec import Auroc

__all__ = [
    "add_arguments",
    "add_ray_argument",
    "add_replay_arguments",
    "plan_of",
    "read_half",
    "replayer",
    "run",
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of this command."""
    parser.add_argument(
        "--replay",
        type=Path,
        action="append",
        metavar="FILE",
        help="recorded traces: .jsonl, a probe matrix .json, or a run's folder; may be repeated",
    )
    parser.add_argument(
        "--policy",
        action="append",
        required=True,
        metavar="NAME[@N][:KEY=VALUE,...]",
        help="auto, cons@16, pass@1, deepprune:tau=0.25, ...; may be repeated",
    )
    parser.add_argument("--effort", metavar="low|medium|high", help="what auto may spend")
    add_replay_arguments(parser)
    add_ray_argument(parser)
    parser.add_argument("--json", action="store_true", help="one JSON line per policy and file")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="PATH",
        help="keep every outcome for compare: a .jsonl file, or live a folder that a killed run goes on in",
    )
    add_live_arguments(parser)


def add_replay_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags that say how traces are drawn and judged."""
    parser.add_argument("--max-traces", type=positive, default=128, metavar="N")
    parser.add_argument("--resamples", type=positive, default=20, metavar="N")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument(
        "--half",
        choices=("tune", "report", "all"),
        default="all",
        help="half of the questions, by a hash of their text",
    )
    parser.add_argument(
        "--judge-auroc",
        type=_auroc,
        default=0.71,
        metavar="P|perfect",
        help="the simulated judge's; default 0.71",
    )
    parser.add_argument(
        "--judge-scores", type=Path, metavar="FILE", help="recorded verdicts instead (.jsonl)"
    )
    parser.add_argument(
        "--checkpoint-tokens",
        type=positive,
        metavar="N",
        help="checkpoint after so many tokens; default: reasoning words, 1500 without text",
    )
    parser.add_argument(
        "--capacity", type=positive, metavar="N", help="streams that the server runs at once"
    )


def add_ray_argument(parser: argparse.ArgumentParser) -> None:
    """The flag that spreads questions over machines."""
    parser.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="in Ray tasks, one question each: HOST:PORT, auto, or local",
    )


def run(arguments: argparse.Namespace) -> None:
    """Measures and prints."""
    from bench.results.outcomes import by_policy, policy_line
    from orchestrator.errors import ConfigError

    live = arguments.endpoint is not None or arguments.local
    if live == bool(arguments.replay):
        raise ConfigError(
            "Give recorded traces with --replay FILE, or servers with --endpoint or --local."
        )
    lines = []
    for outcomes in by_policy(_play_live(arguments) if live else _replay(arguments)).values():
        lines.append(policy_line(outcomes))
        _tell_rewards(outcomes)
    _show(lines, as_json=arguments.json)


def _tell_rewards(outcomes: "list[Outcome]") -> None:
    """The reward model's bill, which the agreed columns have no place for."""
    tokens = sum(each.reward_tokens for each in outcomes)
    if tokens:
        print(
            f"{outcomes[0].policy}: the reward model read {tokens / len(outcomes):,.1f} tokens per question, "
            "which no column counts.",
            file=sys.stderr,
        )


def _replay(arguments: argparse.Namespace) -> "list[Outcome]":
    from bench.replay.replay import validate_recordings
    from bench.results.outcomes import write_outcomes
    from bench.specs.policy_spec import parse_policy
    from orchestrator.terminal.progress import progress_bar

    effort = [f"policy.effort={arguments.effort}"] if arguments.effort else []
    specs = [parse_policy(text, effort) for text in arguments.policy]
    plan = plan_of(arguments)
    files = [(str(path), read_half(path, arguments.half)) for path in arguments.replay]
    for file, questions in files:
        for spec in specs:
            validate_recordings(spec, questions, file)
    total = len(specs) * plan.resamples * sum(len(questions) for _, questions in files)
    with replayer(arguments.ray) as replay, progress_bar(total) as advance:
        outcomes = [
            outcome
            for file, questions in files
            for spec in specs
            for outcome in replay(spec, questions, plan, file=file, advance=advance)
        ]
    if arguments.out:
        write_outcomes(arguments.out, outcomes)
    return outcomes


@contextlib.contextmanager
def replayer(address: str | None) -> "Iterator[Callable[..., Iterator[Outcome]]]":
    """`replay_policy`, in this process or, with the address of a Ray cluster, over its tasks."""
    if address is None:
        from bench.replay.replay import replay_policy

        yield replay_policy
    else:
        from bench.distributed.ray_tasks import connect_ray

        with connect_ray(address) as cluster:
            yield cluster.replay


def _play_live(arguments: argparse.Namespace) -> "list[Outcome]":
    from bench.results.outcomes import write_outcomes
    from orchestrator.errors import ConfigError

    if arguments.out is None:
        raise ConfigError("Live runs are kept; give a folder with --out DIR.")
    if arguments.effort:
        arguments.set.append(f"policy.effort={arguments.effort}")
    outcomes = play_live(
        arguments, arguments.policy, traces=arguments.max_traces, out=arguments.out
    )
    write_outcomes(arguments.out / "outcomes.jsonl", outcomes)
    return outcomes


def _show(lines: "list[dict[str, Any]]", *, as_json: bool) -> None:
    from rich.console import Console

    from bench.reports.tables import text_table

    if as_json:
        for line in lines:
            print(json.dumps(line))
    else:
        Console(file=sys.stdout).print(text_table(lines))


def plan_of(arguments: argparse.Namespace) -> "ReplayPlan":
    """The plan that the flags of `add_replay_arguments` ask for."""
    from bench.replay.judges import read_scores
    from bench.replay.replay import ReplayPlan
    from bench.replay.server import ServerModel

    return ReplayPlan(
        max_traces=arguments.max_traces,
        resamples=arguments.resamples,
        seed=arguments.seed,
        server=ServerModel(capacity=arguments.capacity),
        judge_auroc=arguments.judge_auroc,
        scores=read_scores(arguments.judge_scores) if arguments.judge_scores else None,
        checkpoint_tokens=arguments.checkpoint_tokens,
    )


def read_half(path: Path, half: str) -> "list[RecordedQuestion]":
    """The recorded questions of a file that belong to the half.

    Raises:
        DatasetError: the file cannot be read, or none of its questions is in the half.
    """
    from bench.data.readers import read_recorded
    from bench.data.sampling import half_of
    from orchestrator.errors import DatasetError

    questions = [
        question for question in read_recorded(path) if half == "all" or half_of(question) == half
    ]
    if not questions:
        raise DatasetError(f"{path} has no question in the half '{half}'; choose --half all.")
    return questions


def _auroc(text: str) -> "Auroc":
    from bench.specs.policy_spec import parse_auroc
    from orchestrator.errors import ConfigError

    try:
        return parse_auroc(text)
    except ConfigError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
