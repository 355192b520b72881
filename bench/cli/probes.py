"""How much a running trace's forced answer tells about its final one, on live servers or in a recording with probes.

deepprune-bench probes --local --questions nano/data/questions.jsonl --limit 40 --traces 8 --every 40
deepprune-bench probes --replay aime24.json
"""

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cli.options import add_live_arguments
from orchestrator.cli.argtypes import positive
from orchestrator.cli.flags import PROMPT_FLAGS, SERVER_FLAGS, preset_of, settings_of_flags
from orchestrator.errors import ConfigError, first_error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.analysis.probe_reliability import Probe
    from bench.live.probing import ProbedQuestion
    from orchestrator.questions import Question
    from orchestrator.settings import Settings

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of this command."""
    parser.add_argument(
        "--replay",
        type=Path,
        metavar="FILE",
        help="a recording with probes, instead of live servers",
    )
    parser.add_argument("--limit", type=positive, metavar="N", help="only the first N questions")
    parser.add_argument("--traces", type=positive, default=8, metavar="N", help="default: 8")
    parser.add_argument(
        "--every",
        type=positive,
        default=500,
        metavar="TOKENS",
        help="between two probes; default: 500",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="also write the traces and their probes, for run --replay: with their texts in a .jsonl, else as a probe matrix",
    )
    parser.add_argument("--json", action="store_true", help="one JSON line per row")
    add_live_arguments(parser)


def run(arguments: argparse.Namespace) -> None:
    """Measures, and prints the rows."""
    from bench.analysis.probe_reliability import probe_rows, recorded_probes
    from bench.data.readers import read_recorded
    from bench.reports.probes import probe_table
    from orchestrator.report.report import to_json_line

    if arguments.replay is not None:
        if arguments.out is not None:
            raise ConfigError("--out writes what live servers answer; leave it out with --replay.")
        probes = recorded_probes(read_recorded(arguments.replay))
        if not probes:
            raise ConfigError(
                f"{arguments.replay} holds no probes; give a recording that has them."
            )
    else:
        probes = _measured(arguments)
    rows = probe_rows(probes)
    if arguments.json:
        for row in rows:
            print(to_json_line(row))
    else:
        from rich.console import Console

        Console(file=sys.stdout).print(probe_table(rows))


def _measured(arguments: argparse.Namespace) -> "list[Probe]":
    """The probes of live servers.

    Raises:
        DeepPruneError: the questions or the servers cannot be used, all traces of a question failed, or --out cannot be written.
    """
    import asyncio

    from bench.data.datasets import read_named
    from bench.live.probed_files import write_probed
    from orchestrator.config.load import load_settings

    if arguments.questions is None:
        raise ConfigError("Give --questions FILE, or --replay FILE.")
    if arguments.out is not None and not arguments.out.parent.is_dir():
        raise ConfigError(f"{arguments.out.parent} is no folder; choose another file with --out.")
    questions = read_named(arguments.questions)[: arguments.limit]
    settings = load_settings(
        file=arguments.config,
        environ=os.environ,
        assignments=arguments.set,
        flags={
            **settings_of_flags(arguments, [*SERVER_FLAGS, *PROMPT_FLAGS]),
            "policy.name": "custom",
            "policy.traces": arguments.traces,
            "run.concurrency": arguments.streams,
        },
        preset=preset_of(arguments),
    )
    try:
        measured = asyncio.run(_measure(arguments, questions, settings))
    except BaseExceptionGroup as group:
        raise first_error(group) from None
    if arguments.out is not None:
        write_probed(arguments.out, measured)
    return [probe for each in measured for probe in each.probes]


async def _measure(
    arguments: argparse.Namespace, questions: "Sequence[Question]", settings: "Settings"
) -> "list[ProbedQuestion]":
    """All questions on the servers of the settings, with a line of progress."""
    from bench.live.probing import ProbeEvery, measure_probes
    from orchestrator.api import Client
    from orchestrator.terminal.progress import Progress

    client = Client(
        settings=settings,
        local=arguments.local,
        policy=ProbeEvery(arguments.traces, arguments.every),
        announce=lambda text: print(text, file=sys.stderr),
    )
    async with client:
        with Progress("questions", len(questions)) as progress:
            return await measure_probes(
                client,
                questions,
                every=arguments.every,
                at_once=arguments.at_once,
                advance=progress.advance,
            )
