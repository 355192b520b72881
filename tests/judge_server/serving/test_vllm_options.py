"""Which spec, model and flags `deepprune-judge serve` decides on, without starting anything."""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from judge_server.serving.vllm_options import ServeOptions, find_judge, judge_model
from orchestrator.config.shipped import configs_folder
from orchestrator.errors import ConfigError
from orchestrator.local_vllm.command import LocalModel, vllm_command
from orchestrator.local_vllm.hardware import Hardware
from orchestrator.local_vllm.server import nano_model

CPU = Hardware(gpus=0)
SPEC = """
name: mine
model: mine
instruction: ""
query: "{new}"
item: "{member}"
"""


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """A folder as training leaves it, with 12 attention heads and a context of 40,000 tokens."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "judge.yaml").write_text(SPEC)
    config = {"num_attention_heads": 12, "max_position_embeddings": 40_000}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "model.safetensors").touch()
    return folder


def model_of(judge: object, hardware: Hardware = CPU, **values: Any) -> LocalModel:
    return judge_model(ServeOptions(judge=str(judge), **values), hardware)[1]


def flags_of(judge: object, hardware: Hardware = CPU, **values: Any) -> dict[str, str]:
    """The last value of each flag, as vLLM's parser takes it."""
    command = vllm_command(model_of(judge, hardware, **values), 1, hardware)
    return dict(itertools.pairwise([*command, ""]))


# --- finding the judge ----------------------------------------------------------------------------


def test_a_trained_folder_brings_its_spec(trained: Path) -> None:
    spec, source = find_judge(str(trained), None)
    assert (spec.name, source) == ("mine", trained)


def test_another_spec_may_be_named_for_a_folder(trained: Path) -> None:
    spec, source = find_judge(str(trained), "nano")
    assert (spec.name, source) == ("nano", trained)


def test_a_folder_without_a_spec_asks_for_one(trained: Path) -> None:
    (trained / "judge.yaml").unlink()
    with pytest.raises(ConfigError, match="add --spec NAME"):
        find_judge(str(trained), None)


def test_the_bundled_judge_is_found_from_anywhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    spec, source = find_judge("nano", None)
    assert spec.name == "nano"
    assert source == nano_model("judge")


def test_a_shipped_name_may_stand_for_a_model_on_the_hub() -> None:
    assert find_judge("deepprune-4b", None)[1] == "THU-KEG/DeepPrune-Judge-4B"
    assert find_judge("qwen3-4b-instruct", None)[1] == "Qwen/Qwen3-4B-Instruct-2507"


def test_a_yaml_file_names_its_model(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(trained.parent)
    assert find_judge("mine/judge.yaml", None)[1] == Path("mine")


def test_a_name_on_the_hub_needs_a_spec() -> None:
    assert find_judge("org/judge", "nano")[1] == "org/judge"
    with pytest.raises(ConfigError, match="for a name on the hub, add --spec NAME"):
        find_judge("org/judge", None)


@pytest.mark.parametrize("judge", ["no-such-judge", "missing.yaml"])
def test_a_judge_that_does_not_exist_is_refused(judge: str) -> None:
    with pytest.raises(ConfigError, match=judge):
        find_judge(judge, None)


@pytest.mark.parametrize("judge", ["nowhere", "a/b/c", "../up"])
def test_a_model_that_is_no_folder_and_no_hub_name_is_refused(judge: str) -> None:
    with pytest.raises(ConfigError, match="is neither a model folder"):
        find_judge(judge, "nano")


def test_a_folder_without_a_model_is_refused_with_or_without_a_spec(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "runs" / "unfinished").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    for spec_name in (None, "nano"):
        with pytest.raises(ConfigError, match=r"runs/unfinished is (not|neither) a model folder"):
            find_judge("runs/unfinished", spec_name)


def test_another_folder_of_a_judges_name_is_not_mistaken_for_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "nano").mkdir()
    monkeypatch.chdir(tmp_path)
    assert find_judge("nano", None)[1] == nano_model("judge")


def test_a_broken_config_is_refused(trained: Path) -> None:
    (trained / "config.json").write_text("{")
    with pytest.raises(ConfigError, match="not valid JSON"):
        model_of(trained)


# --- flags ----------------------------------------------------------------------------------------


def test_on_a_cpu_it_computes_in_float32_on_its_threads(trained: Path) -> None:
    flags = flags_of(trained, threads=2)
    assert flags["--dtype"] == "float32"
    assert flags["--kv-cache-memory-bytes"] == str(4 * 2**30)
    assert "--tensor-parallel-size" not in flags
    assert "--max-num-batched-tokens" not in flags
    assert model_of(trained, threads=2).threads == 2


def test_on_gpus_it_computes_in_bfloat16_with_full_steps(trained: Path) -> None:
    flags = flags_of(trained, Hardware(gpus=1))
    assert flags["--dtype"] == "bfloat16"
    assert flags["--max-num-batched-tokens"] == "16384"
    assert flags["--gpu-memory-utilization"] == "0.9"
    assert "--enable-prefix-caching" in flags
    assert "--kv-cache-memory-bytes" not in flags
    assert "--tensor-parallel-size" not in flags


@pytest.mark.parametrize(("gpus", "shared"), [(2, "2"), (3, "2"), (4, "4"), (8, "4")])
def test_as_many_gpus_share_it_as_divide_its_heads(trained: Path, gpus: int, shared: str) -> None:
    assert flags_of(trained, Hardware(gpus=gpus))["--tensor-parallel-size"] == shared


def test_a_model_on_the_hub_takes_the_greatest_power_of_two() -> None:
    assert flags_of("deepprune-4b", Hardware(gpus=6))["--tensor-parallel-size"] == "4"


def test_a_classifier_pools_on_one_gpu(trained: Path) -> None:
    (trained / "judge.yaml").write_text(SPEC + "kind: classification\n")
    flags = flags_of(trained, Hardware(gpus=4))
    assert flags["--runner"] == "pooling"
    assert "--tensor-parallel-size" not in flags
    assert "--enable-prefix-caching" not in flags


def test_what_is_asked_for_wins(trained: Path) -> None:
    flags = flags_of(
        trained,
        Hardware(gpus=8),
        dtype="float16",
        tensor_parallel_size=3,
        gpu_memory_utilization=0.3,
        max_model_len=77,
        host="::1",
        port=8001,
        vllm_flags=("--max-num-seqs", "5"),
    )
    assert flags["--dtype"] == "float16"
    assert flags["--tensor-parallel-size"] == "3"
    assert flags["--gpu-memory-utilization"] == "0.3"
    assert flags["--max-model-len"] == "77"
    assert flags["--host"] == "::1"
    assert flags["--max-num-seqs"] == "5"
    assert model_of(trained, port=8001).port == 8001


# --- the context ----------------------------------------------------------------------------------


def test_the_context_has_room_for_two_segments(trained: Path) -> None:
    assert flags_of(trained)["--max-model-len"] == str(8_000 + len("{new}{member}") // 2 + 1)


def test_the_context_has_room_for_the_question_if_it_is_shown(trained: Path) -> None:
    (trained / "judge.yaml").write_text(SPEC.replace("{new}", "{question}{new}"))
    assert int(flags_of(trained)["--max-model-len"]) > 10_000


def test_short_segments_still_get_a_context_of_a_fair_size(trained: Path) -> None:
    (trained / "judge.yaml").write_text(SPEC + "max_segment_chars: 100\n")
    assert flags_of(trained)["--max-model-len"] == "2048"


def test_a_model_with_less_context_keeps_its_own(trained: Path) -> None:
    (trained / "config.json").write_text('{"max_position_embeddings": 512}')
    assert "--max-model-len" not in flags_of(trained)


@pytest.mark.parametrize(
    "name",
    [
        path.stem
        for path in sorted((configs_folder() / "judges").glob("*.yaml"))
        if not path.stem.endswith("-train")
    ],
)
def test_every_shipped_judge_can_be_served_from_a_folder(trained: Path, name: str) -> None:
    spec, model = judge_model(ServeOptions(judge=str(trained), spec=name), CPU)
    assert model.name == spec.name == name
    assert model.source == trained
