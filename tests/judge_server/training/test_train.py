"""Training and evaluating, whole, on a model of a few thousand parameters."""

import json
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from peft import PeftModel
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tokenizers import Tokenizer, models
from torch.nn.functional import cross_entropy
from transformers import PreTrainedTokenizerFast

from judge_server.cli.main import main
from judge_server.data.pairs import Pair
from judge_server.models.base import LocalJudge
from judge_server.models.load import load_judge
from orchestrator.config.shipped import configs_folder, judge_spec
from orchestrator.core.judging import JudgeSpec
from orchestrator.errors import ConfigError

pytestmark = pytest.mark.slow


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
    capsys: pytest.CaptureFixture[str], config: Path, traces: Path, folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "judge"
    run("train", config=config, traces=traces, init=folder, out=out)
    record = json.loads((out / "training.json").read_text())
    assert record["settings"]["epochs"] == 12
    assert len(record["epochs"]) == 12
    assert len(record["data_sha256"][0]) == 64
    assert record["judge"]["name"] == "nano"
    assert (out / "tokenizer.json").read_bytes() == (folder / "tokenizer.json").read_bytes()
    assert "epoch 12: loss" in capsys.readouterr().err

    main(["evaluate", "--traces", str(traces), "--judge", str(out), "--json"])
    result = json.loads(capsys.readouterr().out)
    assert result["auroc_low"] > 0.5  # better than chance, beyond the noise of a few questions
    assert result["auroc_low"] <= result["auroc"] <= result["auroc_high"]
    assert 0 < result["questions"] < 20
    assert result["pairs"] == 6 * result["questions"]


def test_the_same_seed_gives_the_same_weights(
    config: Path, traces: Path, folder: Path, tmp_path: Path
) -> None:
    config.with_name("tiny-train.yaml").write_text("epochs: 1\nbf16: false\n")
    for name in ("one", "two"):
        run("train", config=config, traces=traces, init=folder, out=tmp_path / name)
    one, two = (tmp_path / name / "model.safetensors" for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()


def test_traces_of_a_single_answer_are_refused_before_training(
    capsys: pytest.CaptureFixture[str], config: Path, folder: Path, tmp_path: Path
) -> None:
    file = tmp_path / "same.jsonl"
    line = {"question": "?", "text": "so", "answer": "1"}
    file.write_text(
        "".join(json.dumps(line | {"question_id": f"q{n // 2}"}) + "\n" for n in range(40))
    )
    assert run("train", config=config, traces=file, init=folder, out=tmp_path / "none") == 2
    assert "are not of both classes" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def test_the_reading_loss_is_the_language_models_on_the_member(judge: LocalJudge) -> None:
    pair = Pair("q", "How many?", "so 4", "thus 4, so 5", True)
    packs = judge.packs([pair], longest=None)
    query, item = packs[0].query, packs[0].items[0]
    with torch.inference_mode():
        loss = judge.network(judge.collate(packs), reading=True).reading
        logits = judge.model(input_ids=torch.tensor([query + item])).logits[0]
    expected = cross_entropy(logits[len(query) : -1], torch.tensor(item[1:]))
    assert float(loss) == pytest.approx(float(expected), abs=1e-4)


def test_labels_that_start_alike_are_refused(folder: Path, spec: JudgeSpec) -> None:
    alike = spec.model_copy(update={"labels": ("same", "sad")})
    with pytest.raises(ConfigError, match="choose labels that differ in their first token"):
        load_judge(folder, alike)


def test_a_folder_without_a_model_is_refused(tmp_path: Path, spec: JudgeSpec) -> None:
    with pytest.raises(ConfigError, match="holds no model"):
        load_judge(tmp_path, spec)


def refused(capsys: pytest.CaptureFixture[str], out: Path) -> str:
    """The one sentence on stderr; nothing was written."""
    assert not out.exists()
    (sentence,) = capsys.readouterr().err.splitlines()
    return sentence


def test_labels_that_the_tokenizer_does_not_know_are_refused(
    capsys: pytest.CaptureFixture[str], config: Path, traces: Path, folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(folder, tmp_path / "model")
    words = Tokenizer(models.WordLevel({"[UNK]": 0, "so": 1}, unk_token="[UNK]"))
    PreTrainedTokenizerFast(tokenizer_object=words, unk_token="[UNK]").save_pretrained(
        tmp_path / "model"
    )
    flags = {"config": config, "traces": traces, "init": tmp_path / "model"}
    assert run("train", **flags, out=tmp_path / "none") == 2
    assert "has no token for the label 'identical'" in refused(capsys, tmp_path / "none")


def test_a_pair_longer_than_the_context_is_refused(
    capsys: pytest.CaptureFixture[str], config: Path, traces: Path, folder: Path, tmp_path: Path
) -> None:
    config.write_text(
        config.read_text().replace("max_segment_chars: 70", "max_segment_chars: 9000")
    )
    text = json.loads(traces.read_text().splitlines()[4]) | {"text": "x" * 3000}  # of q1
    traces.write_text(traces.read_text() + json.dumps(text) + "\n")
    assert run("train", config=config, traces=traces, init=folder, out=tmp_path / "none") == 2
    assert "and this judge reads at most 1,023" in refused(capsys, tmp_path / "none")


@pytest.mark.parametrize("init", ["nowhere", "no-such/model"])
def test_a_model_that_is_not_there_is_refused(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    config: Path,
    traces: Path,
    tmp_path: Path,
    init: str,
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert run("train", config=config, traces=traces, init=init, out=tmp_path / "none") == 2
    assert f"{init} cannot be loaded" in refused(capsys, tmp_path / "none")


@pytest.mark.parametrize("flags", [{"fold": 0}, {"fold": 3, "folds": 3}, {"fold": 0, "folds": 1}])
def test_a_fold_that_does_not_exist_is_refused(
    capsys: pytest.CaptureFixture[str],
    config: Path,
    traces: Path,
    folder: Path,
    tmp_path: Path,
    flags: dict[str, int],
) -> None:
    given = {"config": config, "traces": traces, "init": folder, "out": tmp_path / "none"}
    assert run("train", **given, **flags) == 2
    assert "--fold I from 0 to K-1" in refused(capsys, tmp_path / "none")


def test_a_fold_is_left_out_and_recorded(
    config: Path, traces: Path, folder: Path, tmp_path: Path
) -> None:
    config.with_name("tiny-train.yaml").write_text(
        "epochs: 1\nbf16: false\nvalidation_share: 0.2\n"
    )
    given = {"config": config, "traces": traces, "init": folder, "out": tmp_path / "judge"}
    run("train", **given, fold=1, folds=4)
    record = json.loads((tmp_path / "judge" / "training.json").read_text())
    assert record["fold"] == {"number": 1, "of": 4}
    assert len(record["test_questions"]) == 10
    counts = record["data"]
    assert counts["questions"] + counts["validation_questions"] + 10 <= 40


def test_the_cut_on_the_command_line_is_what_the_judge_is_asked_with(
    config: Path, traces: Path, folder: Path, tmp_path: Path
) -> None:
    config.with_name("tiny-train.yaml").write_text(
        "epochs: 1\nbf16: false\nvalidation_share: 0.2\n"
    )
    given = {"config": config, "traces": traces, "init": folder}
    for name, cut in (("words", {"words": 7}), ("tokens", {"tokens": 9, "tokenizer": folder})):
        run("train", **given, **cut, out=tmp_path / name)
    words, tokens = (
        judge_spec(str(tmp_path / name / "judge.yaml")) for name in ("words", "tokens")
    )
    assert (words.segment_words, words.segment_tokens) == (7, None)
    assert tokens.segment_tokens == 9
    assert words.model == (tmp_path / "words").as_posix()


def test_adapters_are_merged_and_kept_beside(
    config: Path, traces: Path, folder: Path, tmp_path: Path, spec: JudgeSpec
) -> None:
    config.with_name("tiny-train.yaml").write_text(
        "epochs: 1\nlearning_rate: 0.01\nvalidation_share: 0.2\nbatch_tokens: 3000\n"
        "lora_rank: 4\nlora_targets: [q_proj, v_proj]\nbf16: true\n"
    )
    out = tmp_path / "judge"
    run("train", config=config, traces=traces, init=folder, out=out)
    pair = Pair("q", "How many?", "so 4", "thus 4, so 5", True)
    plain = load_judge(folder, spec)
    merged = load_judge(out, spec)
    before, after = plain.model.state_dict(), merged.model.state_dict()
    assert before.keys() == after.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all("q_proj" in name or "v_proj" in name for name in changed)
    adapted = PeftModel.from_pretrained(plain.model, out / "adapter")
    assert plain.scores([pair]) == pytest.approx(merged.scores([pair]), abs=1e-5)
    assert adapted.peft_config["default"].to_dict()["r"] == 4


def test_the_logs_can_be_read_by_tensorboard(
    config: Path, traces: Path, folder: Path, tmp_path: Path
) -> None:
    config.with_name("tiny-train.yaml").write_text(
        "epochs: 2\nbf16: false\nvalidation_share: 0.2\n"
    )
    run("train", config=config, traces=traces, init=folder, out=tmp_path / "judge")
    logs = EventAccumulator(str(tmp_path / "judge" / "logs")).Reload()
    steps = json.loads((tmp_path / "judge" / "training.json").read_text())["steps"]
    assert [event.step for event in logs.Scalars("loss")] == list(range(1, steps + 1))
    assert len(logs.Scalars("validation/auroc")) == 2
    assert "learning_rate" in logs.Tags()["scalars"]


def test_the_card_says_what_made_the_judge(
    config: Path, traces: Path, folder: Path, tmp_path: Path
) -> None:
    config.with_name("tiny-train.yaml").write_text(
        "epochs: 2\nbf16: false\nvalidation_share: 0.2\n"
    )
    out = tmp_path / "judge"
    run("train", config=config, traces=traces, init=folder, out=out, set="gamma=1.5")
    record = json.loads((out / "training.json").read_text())
    _, front, body = (out / "README.md").read_text().split("---\n", 2)
    assert "with focal loss (arXiv 2510.08483)" in body
    assert yaml.safe_load(front)["tags"] == ["deepprune", "judge"]
    assert f"| pairs | {record['data']['pairs']:,} |" in body
    assert "| gamma | 1.5 |" in body
    assert f"| {record['best_epoch']} (kept) |" in body
    assert f"    {record['command']}\n" in body
    assert "--set gamma=1.5" in record["command"]


def test_without_validation_the_last_epoch_is_kept_and_the_card_says_so(
    config: Path, traces: Path, folder: Path, tmp_path: Path
) -> None:
    config.with_name("tiny-train.yaml").write_text(
        "epochs: 2\nbf16: false\nvalidation_share: 0.0\n"
    )
    run("train", config=config, traces=traces, init=folder, out=tmp_path / "judge")
    record = json.loads((tmp_path / "judge" / "training.json").read_text())
    assert record["best_epoch"] == 2
    assert record["epochs"][1]["auroc"] is None
    assert "no questions were kept for it" in (tmp_path / "judge" / "README.md").read_text()
