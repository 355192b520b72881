"""The settings of a training: the shipped ones, and how wrong ones are refused."""

from pathlib import Path

import pytest

from judge_server.training.settings import TrainSettings, read_train_settings
from orchestrator.config.shipped import configs_folder, judge_spec
from orchestrator.errors import ConfigError

JUDGES = configs_folder() / "judges"


def test_the_published_recipe_is_followed_to_the_letter() -> None:
    """arXiv 2510.08483 and the model card of its judge."""
    settings = read_train_settings(JUDGES / "qwen3-4b-train.yaml")
    assert settings.learning_rate == 1e-5
    assert (settings.adam_beta1, settings.adam_beta2) == (0.9, 0.999)
    assert settings.adam_epsilon == 1e-8
    assert settings.warmup_share == 0.1
    assert settings.epochs == 3
    assert settings.batch_pairs == 1
    assert settings.batches_per_step == 1 * 4 * 2  # batch x devices x accumulation
    assert settings.seed == 42
    assert settings.bf16
    assert (settings.gamma, settings.alpha) == (2.0, 0.5)
    assert settings.oversample == 2
    assert settings.pairs_per_question == 16 * 15 // 2
    assert settings.lora_rank == 0
    spec = judge_spec("qwen3-4b")
    assert (spec.segment_words, spec.segment_tokens) == (25, None)
    assert spec.labels == ("identical", "not identical")


@pytest.mark.parametrize("file", sorted(JUDGES.glob("*-train.yaml")), ids=lambda path: path.stem)
def test_every_shipped_training_can_be_read(file: Path) -> None:
    read_train_settings(file)


def test_the_command_line_goes_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "x-train.yaml"
    file.write_text("gamma: 2.0\nepochs: 5\nlora_targets: [q_proj]\n")
    settings = read_train_settings(file, ["gamma=0", "learning_rate=1e-4", "batch_pairs=3"])
    assert (settings.gamma, settings.epochs) == (0.0, 5)
    assert (settings.learning_rate, settings.batch_pairs) == (1e-4, 3)
    assert settings.lora_targets == ("q_proj",)


def test_an_empty_file_gives_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "x-train.yaml").write_text("")
    assert read_train_settings(tmp_path / "x-train.yaml") == TrainSettings()


@pytest.mark.parametrize(
    ("text", "assignment", "message"),
    [
        (
            "epoch: 3",
            "gamma=0",
            r"'epoch' \(from .*x-train.yaml\); the nearest valid key is 'epochs'",
        ),
        ("epochs: 3", "gama=0", r"'gama' \(from --set\); the nearest valid key is 'gamma'"),
        (
            "alpha: 1.5",
            "gamma=0",
            r"alpha is 1.5 \(from .*x-train.yaml\), but must be a number from 0 to 1",
        ),
        (
            "epochs: 3",
            "epochs=none",
            r"epochs is 'none' \(from --set\), but must be a whole number",
        ),
        ("epochs: 3", "gamma", r"--set gamma needs the form"),
    ],
)
def test_a_wrong_setting_is_named_with_its_place(
    tmp_path: Path, text: str, assignment: str, message: str
) -> None:
    file = tmp_path / "x-train.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_train_settings(file, [assignment])
