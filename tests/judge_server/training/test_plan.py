"""`deepprune-judge train --plan`: extent and command of a training that is not started."""

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModelForCausalLM

from judge_server.cli.main import main
from judge_server.training.plan import Plan, plan_text

pytestmark = pytest.mark.slow  # imports torch

PLAN = Plan(
    architecture="Qwen3ForCausalLM",
    weights=4_000_000_000,
    trained=4_000_000_000,
    pairs=100,
    steps=12,
    tokens=5_000,
    longest_batch=700,
    weight_bytes=64_000_000_000,
    activation_bytes=1_000_000_000,
    device_bytes=80_000_000_000,
    device="NVIDIA H100",
    devices=4,
    seconds=36_000.0,
    mixed_precision="bf16",
    command="deepprune-judge train --config qwen3-4b --out 'my judge'",
)


def shown(**changes: Any) -> str:
    return plan_text(replace(PLAN, **changes))


def rows(text: str) -> dict[str, str]:
    """The values of the plan's table by their names."""
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return {line[0]: line[1] for line in lines}


def plan(folder: Path, traces: Path, out: Path, *words: str) -> int:
    base = ["train", "--plan", "--config", "nano", "--traces", str(traces), "--init", str(folder)]
    few = ["--set", "epochs=2", "--set", "bf16=false", "--set", "batch_tokens=2000"]
    return main([*base, "--out", str(out), *few, *words])


def test_a_plan_counts_the_models_weights_and_writes_nothing(
    folder: Path, traces: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert plan(folder, traces, out, "--devices", "2") == 0
    text = capsys.readouterr().out
    weights = AutoModelForCausalLM.from_pretrained(folder).num_parameters()
    assert rows(text)["weights"] == f"{weights:,}, of them trained {weights:,}"
    assert "a tiny random Qwen3ForCausalLM" in rows(text)["tried"]
    assert "minutes on 2 of this device" in rows(text)["time, estimated"]
    command = shlex.split(text.splitlines()[-2])
    assert command[:3] == ["accelerate", "launch", "--multi_gpu"]
    assert command[command.index("-m") + 1 :][:2] == ["judge_server.cli.main", "train"]
    assert "--plan" not in command
    assert "--devices" not in command
    assert not out.exists()


def test_adapters_leave_most_weights_untrained(
    folder: Path, traces: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lora = ("--set", "lora_rank=1", "--set", "gradient_checkpointing=true")
    assert plan(folder, traces, tmp_path / "out", *lora) == 0
    total, trained = rows(capsys.readouterr().out)["weights"].split(", of them trained ")
    assert int(trained.replace(",", "")) < int(total.replace(",", "")) / 10


def test_settings_that_the_architecture_cannot_take_are_one_sentence(
    folder: Path, traces: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = ("--set", "lora_rank=1", "--set", "lora_targets=[no_such_layer]")
    assert plan(folder, traces, tmp_path / "out", *wrong) == 2
    said = capsys.readouterr().err
    assert "cannot be trained with transformers" in said
    assert "no_such_layer" in said


def test_devices_without_a_plan_are_refused(
    folder: Path, traces: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", "--config", "nano", "--traces", str(traces), "--init", str(folder)]
    assert main([*words, "--out", str(tmp_path / "o"), "--devices", "2"]) == 2
    assert "--devices is for --plan" in capsys.readouterr().err


def test_weights_too_large_for_a_device_are_divided_over_several() -> None:
    assert "--multi_gpu --num_processes 4" in shown()
    assert "--use_fsdp --num_processes 4" in shown(device_bytes=24_000_000_000)
    alone = shown(devices=1, device_bytes=24_000_000_000)
    assert "accelerate launch --num_processes 1" in alone


def test_memory_and_time_are_in_units_that_can_be_read() -> None:
    table = rows(shown())
    assert table["memory, estimated"].startswith("65.00 GB on a device: 64.00 for weights")
    assert table["time, estimated"].startswith("10.0 hours on 4")
    assert rows(shown(seconds=None))["time, estimated"].startswith("unknown")
    assert rows(shown(device_bytes=None))["device"].startswith("NVIDIA H100, memory unknown")
    assert shown().splitlines()[-2].endswith("--out 'my judge'")
