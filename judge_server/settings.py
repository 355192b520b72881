"""The settings of one training, read from YAML beside the judge's own (`configs/judges/NAME-train.yaml`)."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from orchestrator.config_errors import explain
from orchestrator.config_sources import read_yaml
from orchestrator.errors import ConfigError

__all__ = ["TrainSettings", "read_train_settings"]

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class TrainSettings(BaseModel):
    """Everything that decides the weights beside the traces, the first weights and the JudgeSpec."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(0, ge=0)
    validation_share: Share = Field(0.07, description="questions that choose the best epoch")
    test_share: Share = Field(0.18, description="questions that only evaluation sees")
    pairs_per_question: int = Field(300, ge=1)
    keep_trivial: bool = Field(False, description="keep pairs that both show the final answer")
    both_orders: bool = True
    oversample: int = Field(2, ge=1, description="times that a pair of the rarer class is shown")
    gamma: float = Field(2.0, ge=0.0)
    alpha: Share = 0.5
    reading_weight: float = Field(
        0.0,
        ge=0.0,
        description="weight of the language-model loss on members, beside the focal loss",
    )
    epochs: int = Field(3, ge=1)
    learning_rate: float = Field(1e-3, gt=0.0)
    warmup_share: Share = 0.1
    weight_decay: float = Field(0.01, ge=0.0)
    gradient_clip: float = Field(1.0, gt=0.0)
    pack_tokens: int = Field(1_536, ge=1, description="longest pack of pairs that share a query")
    batch_tokens: int = Field(8_192, ge=1, description="padded tokens in one step")
    compile: bool = Field(
        False, description="compile the model first: minutes once, then faster steps"
    )
    bf16: bool = Field(True, description="autocast matrix products to bfloat16")


def read_train_settings(path: Path) -> TrainSettings:
    """The training settings in a YAML file.

    Raises:
        ConfigError: the file cannot be read, or holds an unknown or wrong setting.
    """
    try:
        return TrainSettings.model_validate(read_yaml(path) or {})
    except ValidationError as error:
        raise ConfigError(explain(error, TrainSettings, {}, str(path))) from None
