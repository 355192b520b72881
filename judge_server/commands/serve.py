"""Serve a judge by vLLM on this machine; prints its address when the first verdict is there.

deepprune-judge serve nano
deepprune-judge serve runs/my-judge --port 8001
deepprune-judge serve THU-KEG/DeepPrune-Judge-4B --spec deepprune-4b -- --max-num-seqs 512

Flags after -- go to vLLM as they are (paths in them must be absolute).
"""

import argparse
import math
import os
from pathlib import Path

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
    parser.add_argument("--port", type=_port, default=0, help="default: a free one")
    parser.add_argument("--dtype", help="default: float32 on a CPU, bfloat16 on GPUs")
    parser.add_argument(
        "--tensor-parallel-size",
        type=_positive,
        metavar="GPUS",
        help="GPUs that share the model (default: all that divide its heads)",
    )
    parser.add_argument(
        "--gpu-memory-utilization",
        type=_share,
        default=0.9,
        metavar="SHARE",
        help="of each GPU; lower it beside another server (default: 0.9)",
    )
    parser.add_argument(
        "--max-model-len",
        type=_positive,
        metavar="TOKENS",
        help="longest pair (default: what the spec's segments need)",
    )
    parser.add_argument(
        "--threads", type=_positive, help="processor threads on a CPU (default: all cores)"
    )
    parser.add_argument(
        "--log", type=Path, help="file for vLLM's output (default: a temporary one)"
    )
    parser.add_argument(
        "--start-seconds",
        type=_seconds,
        default=1800.0,
        metavar="SECONDS",
        help="give up a server that is not ready by then (default: 1800)",
    )
    parser.set_defaults(vllm_flags=[])


def run(arguments: argparse.Namespace) -> None:
    """Serves until interrupted."""
    import asyncio

    from judge_server.served_model import Arguments
    from judge_server.serving import serve

    values = {name: value for name, value in vars(arguments).items() if name != "command"}
    values["vllm_flags"] = tuple(values["vllm_flags"])
    key = os.environ.get("DEEPPRUNE_JUDGE_API_KEY") or None
    try:
        asyncio.run(serve(Arguments(**values), key))
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def _port(text: str) -> int:
    value = int(text)
    if not 0 <= value < 65536:
        raise argparse.ArgumentTypeError("must be from 0 to 65535")
    return value


def _seconds(text: str) -> float:
    value = float(text)
    if not 0.0 < value < math.inf:
        raise argparse.ArgumentTypeError("must be above 0")
    return value


def _share(text: str) -> float:
    value = float(text)
    if not 0.0 < value <= 1.0:
        raise argparse.ArgumentTypeError("must be above 0 and at most 1")
    return value
