"""A model folder may come from anybody: nothing in it is run, and what is refused is named with its remedy."""

import json
import pickle
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from judge_server.cli.main import main
from judge_server.data.truncation import Truncation, find_token_ends
from judge_server.evaluation.embedding import find_encoder
from judge_server.model_folder import check_model_folder
from judge_server.models.load import load_judge
from judge_server.serving.vllm_options import ServeOptions, judge_model
from orchestrator.core.judging import JudgeSpec
from orchestrator.errors import ConfigError
from orchestrator.local_vllm.hardware import Hardware

pytestmark = pytest.mark.slow  # imports torch

CODE = "import pathlib; pathlib.Path({mark!r}).touch()\n"


class Planted:
    """Touches a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return eval, (f"__import__('pathlib').Path({str(self.mark)!r}).touch()",)


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """The file that exists once planted code has run."""
    return tmp_path / "code-has-run"


@pytest.fixture
def copied(folder: Path, tmp_path: Path) -> Path:
    """A model folder to spoil."""
    return shutil.copytree(folder, tmp_path / "copied")


def plant_pickle(file: Path, mark: Path) -> None:
    with file.open("wb") as opened:
        pickle.dump(Planted(mark), opened)


def plant_code(folder: Path, mark: Path, model_type: str = "planted") -> None:
    """Makes a folder whose configuration, model and tokenizer name a Python file beside them."""
    (folder / "planted.py").write_text(
        CODE.format(mark=str(mark))
        + "from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerFast\n"
        + f"class C(PretrainedConfig):\n    model_type = {model_type!r}\n"
        + "class M(PreTrainedModel):\n    config_class = C\n"
        + "class T(PreTrainedTokenizerFast):\n    pass\n"
    )
    for name, classes in (
        ("config.json", {"AutoConfig": "planted.C", "AutoModelForCausalLM": "planted.M"}),
        ("tokenizer_config.json", {"AutoTokenizer": ["planted.T", "planted.T"]}),
    ):
        values = json.loads((folder / name).read_text())
        values |= {"auto_map": classes}
        if name == "config.json":
            values["model_type"] = model_type
        else:
            values["tokenizer_class"] = "T"
        (folder / name).write_text(json.dumps(values))


def test_the_planted_pickle_would_run_if_it_were_read(tmp_path: Path, mark: Path) -> None:
    plant_pickle(tmp_path / "x.pkl", mark)
    pickle.loads((tmp_path / "x.pkl").read_bytes())
    assert mark.exists()


@pytest.mark.parametrize(
    "name",
    ["pytorch_model.bin", "model.pt", "weights.pth", "model.ckpt", "state.pkl", "tf_model.h5"],
)
def test_pickled_weights_are_refused_by_every_command(
    copied: Path, mark: Path, spec: JudgeSpec, name: str
) -> None:
    (copied / "model.safetensors").unlink()
    plant_pickle(copied / name, mark)
    reason = f"has its weights in {re.escape(name)}, .* give the same model as safetensors"
    with pytest.raises(ConfigError, match=reason):
        load_judge(copied, spec)
    with pytest.raises(ConfigError, match=reason):
        find_encoder(copied)
    with pytest.raises(ConfigError, match=reason):
        judge_model(ServeOptions(judge=str(copied), spec="nano"), Hardware(gpus=0))
    assert not mark.exists()


def test_a_pickle_beside_safetensors_is_not_read(copied: Path, mark: Path, spec: JudgeSpec) -> None:
    for name in ("pytorch_model.bin", "adapter_model.bin", "training_args.bin", "vocab.pkl"):
        plant_pickle(copied / name, mark)
    load_judge(copied, spec)
    assert not mark.exists()


def test_a_pickle_under_the_name_of_safetensors_is_refused(
    copied: Path, mark: Path, spec: JudgeSpec
) -> None:
    plant_pickle(copied / "model.safetensors", mark)
    with pytest.raises(ConfigError, match="cannot be loaded as a model"):
        load_judge(copied, spec)
    assert not mark.exists()


def test_an_index_that_names_pickles_is_refused(copied: Path, mark: Path, spec: JudgeSpec) -> None:
    weights = {"model.norm.weight": "pytorch_model-00001-of-00001.bin"}
    (copied / "model.safetensors").rename(copied / "other.safetensors")
    (copied / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weights}))
    plant_pickle(copied / "pytorch_model-00001-of-00001.bin", mark)
    with pytest.raises(ConfigError, match=r"has its weights in pytorch_model-00001-of-00001\.bin"):
        load_judge(copied, spec)
    assert not mark.exists()


def test_an_adapter_is_refused(copied: Path, mark: Path, spec: JudgeSpec) -> None:
    (copied / "adapter_config.json").write_text('{"base_model_name_or_path": "somebody/model"}')
    plant_pickle(copied / "adapter_model.bin", mark)
    with pytest.raises(ConfigError, match=r"holds an adapter .* merge the two"):
        load_judge(copied, spec)
    assert not mark.exists()


@pytest.fixture
def answers_yes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A user who agrees to everything; the questions that were asked."""
    asked: list[str] = []

    def answer(prompt: str = "") -> str:
        asked.append(prompt)
        return "y"

    monkeypatch.setattr("builtins.input", answer)
    return asked


def test_code_in_a_folder_is_never_run_and_nobody_is_asked(
    copied: Path, mark: Path, spec: JudgeSpec, answers_yes: list[str]
) -> None:
    plant_code(copied, mark)
    for kind in ("generative", "classification"):
        with pytest.raises(ConfigError, match=r"has Python code of its own .* never run"):
            load_judge(copied, spec.model_copy(update={"kind": kind}))
    with pytest.raises(ConfigError, match="has Python code of its own"):
        find_encoder(copied)
    with pytest.raises(ConfigError, match="has Python code of its own"):
        judge_model(ServeOptions(judge=str(copied), spec="nano"), Hardware(gpus=0))
    assert not mark.exists()
    assert answers_yes == []


def test_a_known_architecture_is_loaded_without_the_code_beside_it(
    copied: Path, mark: Path, spec: JudgeSpec, answers_yes: list[str]
) -> None:
    plant_code(copied, mark, model_type="qwen3")
    tokenizer = json.loads((copied / "tokenizer_config.json").read_text())
    (copied / "tokenizer_config.json").write_text(
        json.dumps(tokenizer | {"tokenizer_class": "PreTrainedTokenizerFast"})
    )
    load_judge(copied, spec)
    assert not mark.exists()
    assert answers_yes == []


def test_a_tokenizer_with_code_is_not_run(copied: Path, mark: Path, answers_yes: list[str]) -> None:
    plant_code(copied, mark)
    with pytest.raises(ConfigError, match="has Python code of its own"):
        find_token_ends(Truncation(5, "tokens"), copied)
    assert not mark.exists()
    assert answers_yes == []


def test_evaluate_and_train_say_in_one_sentence_what_is_refused(
    copied: Path,
    mark: Path,
    traces: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    answers_yes: list[str],
) -> None:
    plant_code(copied, mark)
    evaluate = ["evaluate", "--traces", str(traces), "--judge", str(copied), "--spec", "nano"]
    train = ["train", "--config", "nano", "--traces", str(traces), "--init", str(copied)]
    for command in (evaluate, [*train, "--out", str(tmp_path / "out")]):
        assert main(command) == 2
        said = capsys.readouterr()
        assert said.err.splitlines()[-1].endswith(
            "has Python code of its own (auto_map), which is never run here; name a model whose architecture is "
            "part of transformers."
        )
        assert "Traceback" not in said.err
        assert said.out == ""
    assert not mark.exists()
    assert answers_yes == []


@pytest.mark.parametrize(
    "flags",
    [
        ("--trust-remote-code",),
        ("--trust_remote_code",),
        ("--trust-remote",),
        ("--trust-remote-code=true",),
        ("--load-format", "pt"),
        ("--load-format=auto",),
        ("--load_format", "npcache"),
        ("--load-format",),
    ],
)
def test_vllm_is_not_told_to_run_code(folder: Path, flags: tuple[str, ...]) -> None:
    options = ServeOptions(judge=str(folder), spec="nano", vllm_flags=flags)
    with pytest.raises(ConfigError, match=r"run (Python )?code"):
        judge_model(options, Hardware(gpus=0))


def test_vllm_reads_safetensors_only(folder: Path) -> None:
    model = judge_model(ServeOptions(judge=str(folder), spec="nano"), Hardware(gpus=0))[1]
    assert model.flags[:2] == ("--load-format", "safetensors")
    assert "--trust-remote-code" not in model.flags


def test_a_gguf_file_is_refused_with_its_conversion(
    tmp_path: Path, traces: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "small.gguf"
    file.write_bytes(b"GGUF")
    for place in (file, tmp_path):
        with pytest.raises(ConfigError, match=r"run deepprune-judge convert .*small\.gguf DIR"):
            check_model_folder(place)
    assert main(["evaluate", "--traces", str(traces), "--judge", str(file)]) == 2
    assert "is a GGUF file" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="is a GGUF file"):
        judge_model(ServeOptions(judge=str(file), spec="nano"), Hardware(gpus=0))


@pytest.mark.parametrize("content", [b"{", b"[]", b"[" * 100_000, b"\xff\xfe"])
def test_a_broken_configuration_is_one_sentence(
    copied: Path, spec: JudgeSpec, content: bytes
) -> None:
    (copied / "config.json").write_bytes(content)
    with pytest.raises(ConfigError, match=r"config\.json is not valid JSON"):
        load_judge(copied, spec)


def test_a_folder_without_weights_is_refused(copied: Path, spec: JudgeSpec) -> None:
    (copied / "model.safetensors").unlink()
    with pytest.raises(ConfigError, match="has no weights"):
        load_judge(copied, spec)
