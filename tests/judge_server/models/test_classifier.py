"""A judge that is an encoder: what it reads, how it is trained, what is refused."""

import json
from pathlib import Path

import pytest
import torch
import yaml
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from judge_server.cli.main import main
from judge_server.data.pairs import Pair
from judge_server.models.load import load_judge
from orchestrator.config.shipped import judge_spec
from orchestrator.core.judging import JudgeSpec
from orchestrator.errors import ConfigError

pytestmark = pytest.mark.slow

PAIRS = [
    Pair("q", "?", "so 4+1=5", "maybe 5", True),
    Pair("q", "?", "so", "maybe 3, so 3 at last", False),
]


@pytest.fixture
def config(classification: JudgeSpec, tmp_path: Path) -> Path:
    """That judge's YAML with a training of a few seconds beside it."""
    file = tmp_path / "tiny.yaml"
    file.write_text(yaml.safe_dump(classification.model_dump(mode="json")))
    (tmp_path / "tiny-train.yaml").write_text(
        "epochs: 4\nlearning_rate: 0.01\nbf16: false\nbatch_pairs: 40\nvalidation_share: 0.2\n"
        "both_orders: false\noversample: 1\n"
    )
    return file


def train(config: Path, traces: Path, init: Path, out: Path, *more: str) -> int:
    return main(
        [
            *("train", "--config", str(config), "--traces", str(traces)),
            *("--init", str(init), "--out", str(out), *more),
        ]
    )


def test_an_encoder_becomes_a_judge_with_a_head_of_two_labels(
    config: Path, traces: Path, encoder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "judge"
    assert train(config, traces, encoder, out) == 0
    written = json.loads((out / "config.json").read_text())
    assert written["architectures"] == ["BertForSequenceClassification"]
    assert written["id2label"] == {"0": "identical", "1": "not identical"}
    epochs = json.loads((out / "training.json").read_text())["epochs"]
    assert max(epoch["auroc"] for epoch in epochs) > 0.7
    spec = judge_spec(str(out / "judge.yaml"))
    assert spec.kind == "classification"
    assert len(load_judge(out, spec).scores(PAIRS)) == 2


def test_a_pair_is_one_text_and_its_score_the_first_label(
    config: Path, traces: Path, encoder: Path, tmp_path: Path, classification: JudgeSpec
) -> None:
    out = tmp_path / "judge"
    train(config, traces, encoder, out, "--set", "epochs=1")
    model = AutoModelForSequenceClassification.from_pretrained(out).eval()
    tokenizer = AutoTokenizer.from_pretrained(out)
    expected = []
    for pair in PAIRS:
        encoded = tokenizer(f"{pair.new} [SEP] {pair.member}", return_tensors="pt")
        with torch.inference_mode():
            logits = model(input_ids=encoded["input_ids"]).logits[0]
        expected.append(float(logits.softmax(-1)[0]))
    scores = load_judge(out, classification).scores(PAIRS)
    assert scores == pytest.approx(expected, abs=1e-5)
    assert scores[0] != pytest.approx(scores[1], abs=1e-5)


def test_dropout_is_the_same_whoever_computes_a_batch(
    config: Path, traces: Path, encoder: Path, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        torch.rand(7 if name == "one" else 3)
        train(config, traces, encoder, tmp_path / name, "--set", "epochs=1")
    one, two = (tmp_path / name / "model.safetensors" for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()


def test_an_encoder_without_a_head_is_no_judge_yet(
    encoder: Path, classification: JudgeSpec
) -> None:
    with pytest.raises(ConfigError, match=r"no head of two labels.*deepprune-judge train"):
        load_judge(encoder, classification)


def test_a_pair_that_an_encoder_cannot_read_whole_is_refused_before_anything_is_written(
    capsys: pytest.CaptureFixture[str], config: Path, traces: Path, encoder: Path, tmp_path: Path
) -> None:
    text = config.read_text().replace("max_segment_chars: 70", "max_segment_chars: 4000")
    config.write_text(text)
    assert train(config, traces, encoder, tmp_path / "none") == 2
    assert "this judge reads at most 128; lower max_segment_chars" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def test_adapters_learn_and_so_does_the_head(
    config: Path, traces: Path, encoder: Path, tmp_path: Path, classification: JudgeSpec
) -> None:
    out = tmp_path / "judge"
    assert train(config, traces, encoder, out, "--set", "lora_rank=2", "--set", "epochs=1") == 0
    assert (out / "adapter" / "adapter_config.json").is_file()
    assert len(load_judge(out, classification).scores(PAIRS)) == 2


def test_the_shipped_small_encoder_judge_reads_what_fits(classification: JudgeSpec) -> None:
    spec = judge_spec("minilm")
    assert spec.kind == classification.kind
    assert spec.max_segment_chars <= 500
