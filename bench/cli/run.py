"""Accuracy and cost of policies, with intervals, on recorded traces or on live servers.

deepprune-bench run --replay aime24.json --policy auto --policy cons@16 --policy deepprune --json
deepprune-bench run --endpoint http://gpu:8000/v1 --questions aime.jsonl --policy auto --out runs/aime
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.cli.options import (
    add_half_argument,
    add_live_arguments,
    add_ray_argument,
    live_options,
)
from orchestrator.cli.argtypes import fraction, positive

if TYPE_CHECKING:
    from bench.replay.replay import ReplayPlan
    from bench.results.outcomes import Outcome
    from bench.specs.policy_spec import Auroc

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of this command."""
    parser.add_argument(
        "--replay",
        type=Path,
        action="append",
        metavar="FILE",
        help="recorded traces: .jsonl, .parquet, a probe matrix .json, or a run's folder; may be repeated",
    )
    parser.add_argument(
        "--policy",
        action="append",
        required=True,
        metavar="NAME[@N][:KEY=VALUE,...]",
        help="auto, cons@16, pass@1, deepprune:tau=0.25, ...; may be repeated",
    )
    parser.add_argument("--effort", metavar="low|medium|high", help="how much auto may spend")
    _add_replay_arguments(parser)
    add_ray_argument(parser)
    parser.add_argument("--json", action="store_true", help="one JSON line per policy and file")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="PATH",
        help="keep every outcome for compare: in a .jsonl file; of a live run in a folder, where it can be continued",
    )
    add_live_arguments(parser)


def _add_replay_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags that say how recorded traces are sampled and judged."""
    parser.add_argument(
        "--max-traces",
        type=positive,
        default=128,
        metavar="N",
        help="traces per question of a policy without @N",
    )
    parser.add_argument(
        "--resamples",
        type=positive,
        default=20,
        metavar="N",
        help="times that every question is replayed, each with another sample of its traces",
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of the samples and the simulated judge"
    )
    add_half_argument(parser)
    parser.add_argument(
        "--traces-half",
        choices=("tune", "report", "all"),
        default="all",
        help="draw from half of the traces of every question; tune and report have none in common",
    )
    parser.add_argument(
        "--judge-auroc",
        type=_auroc,
        default=0.71,
        metavar="P|perfect",
        help="the simulated judge's; default 0.71",
    )
    parser.add_argument(
        "--judge-correlation",
        type=fraction,
        default=0.0,
        metavar="R",
        help="fraction of the simulated judge's errors that go with a trace and not with a pair; default 0: independent errors",
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
    for outcomes in by_policy(_run_live(arguments) if live else _replay(arguments)).values():
        lines.append(policy_line(outcomes))
        _print_reward_tokens(outcomes)
    _print_lines(lines, as_json=arguments.json)


def _replay(arguments: argparse.Namespace) -> "list[Outcome]":
    from bench.programs.replay import read_files, run_replay
    from bench.results.outcomes import write_outcomes
    from bench.specs.policy_spec import parse_policies

    specs = parse_policies(arguments.policy, _effort(arguments))
    plan = _replay_plan(arguments)
    files = read_files(arguments.replay, arguments.half)
    outcomes = run_replay(specs, files, plan, ray=arguments.ray)
    if arguments.out:
        write_outcomes(arguments.out, outcomes)
    return outcomes


def _run_live(arguments: argparse.Namespace) -> "list[Outcome]":
    from bench.programs.live import run_live_benchmark
    from bench.results.outcomes import write_outcomes
    from orchestrator.errors import ConfigError

    if arguments.out is None:
        raise ConfigError("A live run is kept on disk; give a folder with --out DIR.")
    outcomes = run_live_benchmark(
        live_options(arguments, _effort(arguments)),
        arguments.policy,
        traces=arguments.max_traces,
        out=arguments.out,
        environ=os.environ,
    )
    write_outcomes(arguments.out / "outcomes.jsonl", outcomes)
    return outcomes


def _effort(arguments: argparse.Namespace) -> list[str]:
    return [f"policy.effort={arguments.effort}"] if arguments.effort else []


def _replay_plan(arguments: argparse.Namespace) -> "ReplayPlan":
    from bench.replay.judges import read_scores
    from bench.replay.replay import ReplayPlan
    from bench.replay.server import ServerModel

    return ReplayPlan(
        max_traces=arguments.max_traces,
        resamples=arguments.resamples,
        seed=arguments.seed,
        server=ServerModel(capacity=arguments.capacity),
        judge_auroc=arguments.judge_auroc,
        judge_correlation=arguments.judge_correlation,
        scores=read_scores(arguments.judge_scores) if arguments.judge_scores else None,
        checkpoint_tokens=arguments.checkpoint_tokens,
        traces_half=arguments.traces_half,
    )


def _print_reward_tokens(outcomes: "list[Outcome]") -> None:
    """The reward model's bill, which has no column of its own."""
    tokens = sum(each.reward_tokens for each in outcomes)
    if tokens:
        print(
            f"{outcomes[0].policy}: the reward model read {tokens / len(outcomes):,.1f} tokens per question, "
            "which no column counts.",
            file=sys.stderr,
        )


def _print_lines(lines: "list[dict[str, Any]]", *, as_json: bool) -> None:
    if as_json:
        for line in lines:
            print(json.dumps(line))
        return
    from rich.console import Console

    from bench.reports.tables import policy_table
    from orchestrator.terminal.safe_stream import trusting

    Console(file=trusting(sys.stdout)).print(policy_table(lines))


def _auroc(text: str) -> "Auroc":
    from bench.specs.policy_spec import parse_auroc
    from orchestrator.errors import ConfigError

    try:
        return parse_auroc(text)
    except ConfigError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
