"""Serve recorded traces as vLLM would stream them, for load tests without a GPU; with faults on demand.

deepprune-bench serve aime24.json --port 8000 --speed 20
"""

import argparse
from pathlib import Path

from orchestrator.cli.argtypes import fraction, port, positive_number

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of this command."""
    faults = {"reset": "is reset", "stall": "stalls", "busy": "is refused with 503"}
    parser.add_argument("recording", type=Path, help="recorded traces, as for run --replay")
    parser.add_argument("--host", default="127.0.0.1", help="default: loopback")
    parser.add_argument("--port", type=port, default=0, help="default: a free one")
    parser.add_argument(
        "--speed",
        type=positive_number,
        default=1.0,
        metavar="X",
        help="times the speed of an 8 B model on a large GPU",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="of the order of traces and of the faults"
    )
    for fault, what in faults.items():
        parser.add_argument(
            f"--{fault}",
            type=fraction,
            default=0.0,
            metavar="P",
            help=f"probability that a request {what}",
        )


def run(arguments: argparse.Namespace) -> None:
    """Serves until it is interrupted; prints the address."""
    import asyncio

    from bench.data.readers import read_recorded
    from bench.mock_server.server import Faults, ReplayServer, serve_recording
    from orchestrator.errors import ConfigError

    server = ReplayServer(
        read_recorded(arguments.recording),
        speed=arguments.speed,
        faults=Faults(reset=arguments.reset, stall=arguments.stall, busy=arguments.busy),
        seed=arguments.seed,
    )

    async def serve() -> None:
        async with serve_recording(server, host=arguments.host, port=arguments.port) as url:
            print(url, flush=True)
            await asyncio.Event().wait()

    try:
        asyncio.run(serve())
    except OSError as error:
        raise ConfigError(
            f"Cannot listen on {arguments.host}:{arguments.port} ({error.strerror}); give another --port."
        ) from error
