"""Measure the pairs per second of a served judge, one request per pair against batches; prints a Markdown table.

deepprune-judge throughput --judge-endpoint http://judge:8001/v1 --spec nano --traces traces.jsonl
"""

import argparse
from pathlib import Path

from orchestrator.cli.argtypes import positive

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of this command."""
    parser.add_argument("--judge-endpoint", required=True, metavar="URL")
    parser.add_argument(
        "--spec",
        default="nano",
        metavar="NAME|FILE",
        help="how to ask it: a name in configs/judges, or a YAML file (default: nano)",
    )
    parser.add_argument(
        "--traces", type=Path, required=True, metavar="PATH", help="JSON lines of finished traces"
    )
    for flag, default, meaning in (
        ("--repeats", 5, "how often each method is timed"),
        ("--new", 4, "new traces in one repeat of one method"),
        ("--members", 32, "members for each new trace"),
        ("--batch", 64, "pairs in one batched request"),
        ("--concurrency", 32, "requests at once, for every method"),
    ):
        parser.add_argument(
            flag,
            type=positive,
            default=default,
            metavar="N",
            help=f"{meaning} (default: {default})",
        )


def run(arguments: argparse.Namespace) -> None:
    """Measures the methods and prints their table."""
    import asyncio

    from judge_server.data.traces import read_traces
    from judge_server.serving.throughput import (
        ThroughputOptions,
        comparisons_of,
        measure_throughput,
        throughput_table,
    )
    from orchestrator.config.shipped import judge_spec

    spec = judge_spec(arguments.spec)
    comparisons = comparisons_of(read_traces(arguments.traces), spec, arguments.members)
    options = ThroughputOptions(
        repeats=arguments.repeats,
        new=arguments.new,
        members=arguments.members,
        batch=arguments.batch,
        concurrency=arguments.concurrency,
    )
    methods = asyncio.run(measure_throughput(arguments.judge_endpoint, spec, comparisons, options))
    print(*throughput_table(methods), sep="\n")
