"""The command line and the environment that start a vLLM server on this machine.

Nothing is started here, so the command can be shown and tested first. A key goes into the environment and never
onto the command line.
"""

import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from orchestrator.local_vllm.hardware import Hardware, is_installed, unfit_torch_companions

__all__ = ["LocalModel", "shown_command", "vllm_command", "vllm_environment"]

CPU_BLOCK_SIZE = 32
"""In tokens; the default of 128 is longer than a nano prompt, whose prefix would then never be cached."""
KEY_VARIABLE = "VLLM_API_KEY"


@dataclass(frozen=True, slots=True)
class LocalModel:
    """A model and how it is served; lengths are in tokens, and None leaves a choice to vLLM.

    `source` is a model folder, or a name on the hub that vLLM downloads from. `threads` limits the processor
    threads of a server on CPU: two servers that both use all cores spend their time waiting for each other.
    `task` is what it is served for. `flags` are vLLM's own flags; they replace ours of the same name.
    """

    source: Path | str
    name: str
    max_model_len: int | None = 2048
    max_num_seqs: int = 256
    kv_cache_gib: int | None = 2
    gpu_memory_utilization: float = 0.4  # two servers share one GPU
    dtype: str | None = None
    threads: int | None = None
    host: str = "127.0.0.1"
    port: int = 0
    task: Literal["generate", "classify", "embed"] = "generate"
    flags: tuple[str, ...] = ()
    api_key: str | None = field(default=None, repr=False)


def vllm_command(model: LocalModel, port: int, hardware: Hardware) -> list[str]:
    """The server's command line, for the official package or for the CPU build."""
    flags: dict[str, object] = {
        "--served-model-name": model.name,
        "--host": model.host,
        "--port": port,
        "--max-model-len": model.max_model_len,
        "--max-num-seqs": model.max_num_seqs,
        "--dtype": model.dtype,
    }
    switches = ["--enable-prompt-tokens-details", "--disable-uvicorn-access-log"]
    if model.kv_cache_gib is not None:
        flags["--kv-cache-memory-bytes"] = model.kv_cache_gib * 2**30
    if model.task != "generate":
        flags["--runner"] = "pooling"
    if model.task == "embed":
        flags["--convert"] = "embed"
    if hardware.is_cpu:
        # on some CPUs bfloat16 is an illegal instruction
        flags["--dtype"] = model.dtype or "float32"
        flags["--block-size"] = CPU_BLOCK_SIZE
        switches.append("--enforce-eager")
    else:
        flags["--gpu-memory-utilization"] = model.gpu_memory_utilization
    theirs = {flag.partition("=")[0] for flag in model.flags}
    ours = [
        *((name, str(value)) for name, value in flags.items() if value is not None),
        *((name,) for name in switches),
    ]
    source = model.source.resolve() if isinstance(model.source, Path) else model.source
    return [
        *(*_launcher(), str(source)),
        *(word for flag in ours if flag[0] not in theirs for word in flag),
        *model.flags,
    ]


def _launcher() -> list[str]:
    """`vllm serve`, or a module of the CPU build, whose `vllm` command does not start."""
    script = Path(sys.executable).with_name("vllm")
    if is_installed("vllm") and script.is_file():
        return [str(script), "serve"]
    return [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model"]


def vllm_environment(model: LocalModel, folder: Path, hardware: Hardware) -> dict[str, str]:
    """Our environment without telemetry and without our own VLLM_API_KEY, and offline for a model folder.

    `folder` holds the temporary files and sockets of the server and, where torch's companion packages do not
    load, a start-up file that hides them.
    """
    environment = {name: value for name, value in os.environ.items() if name != KEY_VARIABLE}
    environment |= {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "TMPDIR": str(folder)}
    if isinstance(model.source, Path):
        environment["HF_HUB_OFFLINE"] = "1"
    if model.api_key is not None:
        environment[KEY_VARIABLE] = model.api_key
    if hardware.is_cpu:
        environment["VLLM_CPU_OMP_THREADS_BIND"] = "nobind"  # two servers share the cores
        if model.threads is not None:
            environment["OMP_NUM_THREADS"] = str(model.threads)
    if unfit := unfit_torch_companions():
        hiding = "".join(f"sys.modules[{name!r}] = None\n" for name in unfit)
        (folder / "sitecustomize.py").write_text("import sys\n" + hiding)
        environment["PYTHONPATH"] = os.pathsep.join(
            [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
        )
    return environment


def shown_command(command: Sequence[str], environment: Mapping[str, str]) -> str:
    """The line to type in a shell, with the variables that differ from ours; the key is hidden."""
    shown = {name: value for name, value in environment.items() if os.environ.get(name) != value}
    shown.pop("TMPDIR", None)
    words = [
        f"{name}={'***' if name == KEY_VARIABLE else shlex.quote(value)}"
        for name, value in sorted(shown.items())
    ]
    return " ".join([*words, shlex.join(command)])
