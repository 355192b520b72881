"""A judge of vectors: trained, cross-validated, measured and written as one that the client can ask."""

import json
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoTokenizer

from judge_server.cli.main import main
from judge_server.data.pairs import Pair
from judge_server.models.load import load_judge
from orchestrator.config.head_file import head_of
from orchestrator.config.shipped import judge_spec
from orchestrator.core.judging import pair_prompt
from orchestrator.errors import ConfigError

pytestmark = pytest.mark.slow

PAIRS = [
    Pair("q", "?", "so 4+1=5", "maybe 5", True),
    Pair("q", "?", "so", "maybe 3, so 3 at last", False),
]


@pytest.fixture(params=["last", "mean"])
def config(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A judge's YAML with a training of a second beside it."""
    judge = {
        "name": "tiny",
        "kind": "embedding-head",
        "model": "m",
        "instruction": "",
        "query": "{new}",
        "item": "{member}",
        "pooling": request.param,
        "max_segment_chars": 300,
    }
    file = tmp_path / "tiny.yaml"
    file.write_text(yaml.safe_dump(judge))
    (tmp_path / "tiny-train.yaml").write_text(
        "epochs: 20\nlearning_rate: 0.02\nbf16: false\nbatch_pairs: 200\nbatch_tokens: 100000\npacking: false\n"
        "validation_share: 0.2\noversample: 1\ngamma: 0\nhead_width: 4\n"
    )
    return file


def train(config: Path, traces: Path, init: Path, out: Path, *more: str) -> int:
    return main(
        [
            *("train", "--config", str(config), "--traces", str(traces)),
            *("--init", str(init), "--out", str(out), *more),
        ]
    )


@torch.inference_mode()
def vector(folder: Path, pooling: str, text: str) -> list[float]:
    """What a server of the model gives for a text."""
    tokens = AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt")
    tokens.pop("token_type_ids", None)
    hidden = (
        AutoModel.from_pretrained(folder).eval()(**tokens).last_hidden_state[0]
    )  # (seq, hidden)
    found: list[float] = (hidden[-1] if pooling == "last" else hidden.mean(0)).tolist()
    return found


def test_a_head_is_trained_and_the_client_computes_its_scores(
    capsys: pytest.CaptureFixture[str], config: Path, traces: Path, folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "judge"
    assert train(config, traces, folder, out) == 0
    before, after = ((one / "model.safetensors").read_bytes() for one in (folder, out))
    assert before == after  # the model is frozen
    spec = judge_spec(str(out / "judge.yaml"))
    head = head_of(spec)
    texts = [pair_prompt(spec, question="?", new=p.new, member=p.member) for p in PAIRS]
    expected = []
    for prompt in texts:
        one, two = head.project(
            [vector(folder, spec.pooling, text) for text in (prompt.query, prompt.item)]
        )
        expected.append(head.probability(one, two))
    assert load_judge(out, spec).scores(PAIRS) == pytest.approx(expected, abs=1e-5)
    capsys.readouterr()
    asked = ["evaluate", "--traces", str(traces), "--judge", str(out), "--json"]
    assert main(asked) == 0
    assert json.loads(capsys.readouterr().out)["auroc"] > 0.9
    card = (out / "README.md").read_text()
    assert "with cross entropy" in card  # gamma is 0
    assert "focal loss" not in card
    assert "feature-extraction" in card
    assert "Its head was trained on the frozen" in card


def test_a_calibrated_judge_can_be_moved(
    config: Path, traces: Path, folder: Path, tmp_path: Path
) -> None:
    out, moved = tmp_path / "judge", tmp_path / "moved"
    assert train(config, traces, folder, out) == 0
    asked = ["evaluate", "--traces", str(traces), "--judge", str(out), "--split", "all"]
    assert main([*asked, "--calibrate", "temperature"]) == 0
    out.rename(moved)
    spec = judge_spec(str(moved / "judge.yaml"))
    assert spec.calibration is not None
    assert yaml.safe_load((moved / "judge.yaml").read_text())["head"] == "head.json"
    assert load_judge(moved, spec).scores(PAIRS)


def test_vectors_in_a_file_are_computed_once(
    config: Path, traces: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    vectors, out = tmp_path / "vectors.safetensors", tmp_path / "cv"
    words = ["--config", config, "--traces", traces, "--init", folder, "--vectors", vectors]
    command = ["cross-validate", *map(str, words), "--folds", "2"]
    assert main([*command, "--out", str(out)]) == 0
    assert float(capsys.readouterr().out.split("AUROC ")[1].split(",")[0]) > 0.9
    held = load_file(vectors)
    assert len(held["keys"]) == len(held["vectors"]) == 8  # the different segments of all folds
    held["vectors"] = held["vectors"] * 0 + 1.0  # so that it shows whether they are read
    save_file(held, vectors)
    assert main([*command, "--out", str(tmp_path / "again")]) == 2
    assert "the same vector" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--set", "lora_rank=4"], "lora_rank has no meaning"),
        (["--set", "reading_weight=1"], "reading_weight has no meaning"),
        (["--set", "gradient_checkpointing=true"], "gradient_checkpointing has no meaning"),
        (["--plan"], "no training to plan"),
        (["--vectors", "notes.txt"], "cannot be read as the vectors"),
        (["--vectors", "other.safetensors"], "of another model"),
    ],
)
def test_what_a_frozen_model_cannot_have_is_refused(
    words: list[str],
    sentence: str,
    config: Path,
    traces: Path,
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("notes.txt").write_text("notes")
    save_file(
        {"keys": torch.zeros(1, 16, dtype=torch.uint8), "vectors": torch.zeros(1, 3)},
        "other.safetensors",
    )
    assert train(config, traces, folder, tmp_path / "judge", *words) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "judge" / "config.json").exists()


def test_a_file_of_vectors_is_for_heads_only(
    traces: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--set", "bf16=false", "--set", "compile=false", "--vectors", str(tmp_path / "v")]
    assert train(Path("configs/judges/nano.yaml"), traces, folder, tmp_path / "j", *words) == 2
    assert "kind embedding-head; remove it" in capsys.readouterr().err


def test_a_segment_longer_than_the_context_is_refused_or_left_out(
    config: Path, traces: Path, folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "judge"
    assert train(config, traces, folder, out) == 0
    spec = judge_spec(str(out / "judge.yaml")).model_copy(update={"max_segment_chars": 9000})
    judge = load_judge(out, spec)
    long = Pair("q", "?", "so 1. " * 1000, "maybe", True)
    scores = judge.scores([long, PAIRS[0]])
    assert scores[0] != scores[0]
    assert 0.0 < scores[1] < 1.0
    with pytest.raises(ConfigError, match="A segment takes"):
        judge.packs([long], longest=None)


def test_a_head_for_another_model_is_refused(
    config: Path, traces: Path, folder: Path, encoder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "judge"
    assert train(config, traces, folder, out) == 0
    head = json.loads((out / "head.json").read_text())
    head["projection"] = [[1.0, 2.0]] * len(head["projection"])
    (out / "head.json").write_text(json.dumps(head))
    with pytest.raises(ConfigError, match="the model that it was trained with"):
        load_judge(out, judge_spec(str(out / "judge.yaml")))
