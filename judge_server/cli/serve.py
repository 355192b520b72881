"""Serve a judge by vLLM on this machine; prints its address after the first verdict.

deepprune-judge serve nano
deepprune-judge serve runs/my-judge --port 8001
deepprune-judge serve THU-KEG/DeepPrune-Judge-4B --spec deepprune-4b -- --max-num-seqs 512

Flags after -- are passed to vLLM unchanged (paths in them must be absolute).
"""

import argparse
import os
from pathlib import Path

from orchestrator.cli.argtypes import port, positive, positive_fraction, positive_number

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of this command."""
    parser.add_argument(
        "judge",
        metavar="JUDGE",
        help="a model folder, a judge of configs/judges or a YAML file, or with --spec a name on the hub",
    )
    parser.add_argument("--spec", help="how to ask it: a name in configs/judges, or a YAML file")
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: this machine only)"
    )
    parser.add_argument("--port", type=port, default=0, help="default: a free one")
    parser.add_argument("--dtype", help="default: float32 on a CPU, bfloat16 on GPUs")
    parser.add_argument(
        "--tensor-parallel-size",
        type=positive,
        metavar="GPUS",
        help="GPUs that share the model (default: all that divide its heads)",
    )
    parser.add_argument(
        "--gpu-memory-utilization",
        type=positive_fraction,
        default=0.9,
        metavar="FRACTION",
        help="of each GPU; lower it beside another server (default: 0.9)",
    )
    parser.add_argument(
        "--max-model-len",
        type=positive,
        metavar="TOKENS",
        help="longest pair (default: what the spec's segments need)",
    )
    parser.add_argument(
        "--threads", type=positive, help="processor threads on a CPU (default: all cores)"
    )
    parser.add_argument(
        "--log", type=Path, help="file for vLLM's output (default: a temporary one)"
    )
    parser.add_argument(
        "--start-seconds",
        type=positive_number,
        default=1800.0,
        metavar="SECONDS",
        help="stop if the server is not ready by then (default: 1800)",
    )
    parser.set_defaults(vllm_flags=[])


def run(arguments: argparse.Namespace) -> None:
    """Serves until interrupted."""
    import asyncio

    from judge_server.serving.serve import serve
    from judge_server.serving.vllm_options import ServeOptions
    from orchestrator.config.keys import JUDGE_KEY, key_from

    values = {name: value for name, value in vars(arguments).items() if name != "command"}
    values["vllm_flags"] = tuple(values["vllm_flags"])
    key = key_from(os.environ, JUDGE_KEY)
    try:
        asyncio.run(serve(ServeOptions(**values), key))
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
