"""Training and evaluating, whole, on a model of a few thousand parameters."""

import json
from pathlib import Path

import pytest
import torch
from torch.nn.functional import cross_entropy

from judge_server.cli import main
from judge_server.model import load_judge
from judge_server.packing import collate, make_packs
from judge_server.pairs import Pair
from judge_server.settings import TrainSettings, read_train_settings
from judge_server.train import reading_loss, set_learning_rate
from orchestrator.config import configs_folder
from orchestrator.errors import ConfigError


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The nano judge's YAML with a training of a few seconds beside it."""
    shipped = configs_folder() / "judges" / "nano.yaml"
    (tmp_path / "tiny.yaml").write_text(shipped.read_text())
    (tmp_path / "tiny-train.yaml").write_text(
        "epochs: 12\nlearning_rate: 0.01\nbf16: false\nbatch_tokens: 6000\nreading_weight: 0.02\ntest_share: 0.3\nvalidation_share: 0.2\n"
    )
    return tmp_path / "tiny.yaml"


def run(command: str, **flags: object) -> int:
    words = [word for name, value in flags.items() for word in (f"--{name}", str(value))]
    return main([command, *words])


def test_a_judge_learns_and_is_evaluated_on_questions_it_never_saw(
    capsys, config, traces, folder, tmp_path
):
    out = tmp_path / "judge"
    run("train", config=config, traces=traces, init=folder, out=out)
    record = json.loads((out / "training.json").read_text())
    assert record["settings"]["epochs"] == 12
    assert len(record["epochs"]) == 12
    assert len(record["traces_sha256"]) == 64
    assert record["judge"]["name"] == "nano"
    assert (out / "tokenizer.json").read_bytes() == (folder / "tokenizer.json").read_bytes()
    assert "ETA" in capsys.readouterr().out

    main(["evaluate", "--traces", str(traces), "--judge", str(out), "--json"])
    result = json.loads(capsys.readouterr().out)
    assert result["auroc_low"] > 0.5  # better than chance, beyond the noise of a few questions
    assert result["auroc_low"] <= result["auroc"] <= result["auroc_high"]
    assert 0 < result["questions"] < 20
    assert result["pairs"] == 6 * result["questions"]


def test_the_same_seed_gives_the_same_weights(config, traces, folder, tmp_path):
    config.with_name("tiny-train.yaml").write_text("epochs: 1\nbf16: false\n")
    for name in ("one", "two"):
        run("train", config=config, traces=traces, init=folder, out=tmp_path / name)
    one, two = (tmp_path / name / "model.safetensors" for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()


def test_traces_of_a_single_answer_are_refused_before_training(capsys, config, folder, tmp_path):
    file = tmp_path / "same.jsonl"
    line = {"question": "?", "text": "so", "answer": "1"}
    file.write_text(
        "".join(json.dumps(line | {"question_id": f"q{n // 2}"}) + "\n" for n in range(40))
    )
    assert run("train", config=config, traces=file, init=folder, out=tmp_path / "none") == 2
    assert "are not of both classes" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def test_the_reading_loss_is_the_language_models_on_the_member(judge):
    pair = Pair("q", "How many?", "so 4", "thus 4, so 5", True)
    packs = make_packs([pair], judge.spec, judge.encode, longest=judge.context)
    batch = collate(packs, padding_id=judge.padding_id)
    query, item = packs[0].query, packs[0].items[0]
    with torch.inference_mode():
        loss = reading_loss(judge, judge.hidden(batch), batch)
        logits = judge.model(input_ids=torch.tensor([query + item])).logits[0]
    expected = cross_entropy(logits[len(query) : -1], torch.tensor(item[1:]))
    assert float(loss) == pytest.approx(float(expected), abs=1e-4)


def test_labels_that_start_alike_are_refused(folder, spec):
    alike = spec.model_copy(update={"labels": ("same", "sad")})
    with pytest.raises(ConfigError, match="choose labels that differ in their first token"):
        load_judge(folder, alike)


def test_a_folder_without_a_model_is_refused(tmp_path, spec):
    with pytest.raises(ConfigError, match="holds no model"):
        load_judge(tmp_path, spec)


def test_the_shipped_training_settings_are_valid():
    settings = read_train_settings(configs_folder() / "judges" / "nano-train.yaml")
    assert (settings.gamma, settings.alpha, settings.oversample) == (2.0, 0.5, 2)


def test_a_mistyped_training_setting_is_named(config):
    config.with_name("tiny-train.yaml").write_text("epoch: 3\n")
    with pytest.raises(ConfigError, match="epoch"):
        read_train_settings(config.with_name("tiny-train.yaml"))


def test_the_learning_rate_warms_up_and_falls_to_nothing():
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)])
    settings = TrainSettings(learning_rate=1.0, warmup_share=0.1)
    rates = []
    for done in range(100):
        set_learning_rate(optimiser, done, 100, settings)
        rates.append(optimiser.param_groups[0]["lr"])
    assert rates[:10] == pytest.approx([0.1 * (n + 1) for n in range(10)])
    assert max(rates) == 1.0
    assert rates[55] == pytest.approx(0.5)
    assert rates[-1] < 1e-3
