"""The settings of one training, read from YAML beside the judge's own (`configs/judges/NAME-train.yaml`).

Settings decide the weights and are recorded beside them; what does not (where to write, how often to save) is a
flag of the command.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from orchestrator.config.explain import explain, leaves, unknown_key
from orchestrator.config.load import from_file, from_set, nest
from orchestrator.config.shipped import configs_folder
from orchestrator.errors import ConfigError

__all__ = ["TrainSettings", "read_train_settings", "settings_file"]

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]


class TrainSettings(BaseModel):
    """Everything that decides the weights besides the data, the initial weights and the JudgeSpec.

    One device computes a *batch* at a time. A step has `batches_per_step` of them, whatever the number of devices
    that share them: so the number of processes never changes the result.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    seed: int = Field(default=0, ge=0)

    validation_share: Fraction = Field(
        default=0.07, description="questions that choose the best epoch"
    )
    test_share: Fraction = Field(default=0.18, description="questions kept for evaluation")
    pairs_per_question: int = Field(default=300, ge=1)
    keep_trivial: bool = Field(
        default=False, description="also pairs in which a segment already shows an answer"
    )
    across_models: bool = Field(
        default=False, description="also pairs of traces of two models, of one question"
    )
    both_orders: bool = True
    same_per_different: float | None = Field(
        default=None,
        gt=0.0,
        description="most same-answer pairs of a question, for each pair of it that differs; unset: all",
    )
    hard_share: float = Field(
        default=1.0,
        gt=0.0,
        le=1.0,
        description="part of each question's pairs of each class that is kept: those that words in common misjudge most",
    )
    oversample: int = Field(
        default=2, ge=1, description="times that a pair of the rarer class is shown"
    )

    gamma: float = Field(default=2.0, ge=0.0)
    alpha: Fraction = 0.5
    reading_weight: float = Field(
        default=0.0,
        ge=0.0,
        description="weight of the language-model loss on members, beside the focal loss",
    )
    ranking_weight: float = Field(
        default=0.0,
        ge=0.0,
        description="weight of the loss that ranks pairs within a question, beside the focal loss",
    )

    epochs: int = Field(default=3, ge=1)
    learning_rate: float = Field(default=1e-5, gt=0.0)
    warmup_share: Fraction = 0.1
    adam_beta1: float = Field(default=0.9, ge=0.0, lt=1.0)
    adam_beta2: float = Field(default=0.999, ge=0.0, lt=1.0)
    adam_epsilon: float = Field(default=1e-8, gt=0.0)
    weight_decay: float = Field(default=0.0, ge=0.0)
    gradient_clip: float = Field(default=1.0, gt=0.0)

    packing: bool = Field(
        default=True,
        description="compute the members of one new trace behind one copy of it (language models)",
    )
    pack_tokens: int = Field(
        default=1_536, ge=1, description="longest pack of pairs that share a query"
    )
    batch_tokens: int = Field(
        default=8_192, ge=1, description="padded tokens in one batch, or one pack"
    )
    batch_pairs: int | None = Field(
        default=None, ge=1, description="pairs in one batch, or one pack"
    )
    batches_per_step: int = Field(default=1, ge=1, description="over all devices together")

    head_width: int = Field(
        default=32, ge=1, description="numbers of each vector that an embedding-head compares"
    )
    lora_rank: int = Field(default=0, ge=0, description="0 trains all weights")
    lora_alpha: int = Field(default=32, ge=1)
    lora_targets: tuple[str, ...] = Field(
        default=(), description="names of the layers that get an adapter; empty: all linear ones"
    )
    gradient_checkpointing: bool = Field(
        default=False, description="compute activations twice instead of storing them"
    )
    compile: bool = Field(
        default=False, description="compile the model first: minutes once, then faster steps"
    )
    bf16: bool = Field(default=True, description="autocast matrix products to bfloat16")


def read_train_settings(path: Path, assignments: Sequence[str] = ()) -> TrainSettings:
    """The training settings in a YAML file, overridden by assignments such as "gamma=0".

    Raises:
        ConfigError: the file cannot be read, or a setting is unknown or wrong.
    """
    tree = leaves(TrainSettings)
    given = [*from_file(path), *from_set(assignments, tree)]
    for assigned in given:
        if assigned.path not in tree:
            raise ConfigError(unknown_key(assigned.path, assigned.origin, tree))
    try:
        return TrainSettings.model_validate(nest({item.path: item.value for item in given}))
    except ValidationError as error:
        origins = {item.path: item.origin for item in given}
        raise ConfigError(explain(error, TrainSettings, origins, str(path))) from None


def settings_file(config: str) -> Path:
    """NAME-train.yaml beside the judge's YAML; a shipped judge may be given by its name."""
    path = Path(config)
    if path.suffix not in (".yaml", ".yml") and not path.parent.name:
        path = configs_folder() / "judges" / f"{config}.yaml"
    return path.with_name(f"{path.stem}-train.yaml")
