"""The files of a judge's folder: the model's configuration, the judge's spec, the record of its training."""

from pathlib import Path

import yaml

from orchestrator.core.judging import JudgeSpec
from orchestrator.errors import ConfigError

__all__ = [
    "RECORD_FILE",
    "SPEC_FILE",
    "check_model_folder",
    "is_model_folder",
    "write_spec",
]

MODEL_FILE = "config.json"
SPEC_FILE = "judge.yaml"
"""How the judge is asked; training writes it beside the weights."""
RECORD_FILE = "training.json"
"""Everything that decided the weights, with the results of each epoch."""


def is_model_folder(folder: Path) -> bool:
    """Whether the folder holds a model that transformers and vLLM load."""
    return (folder / MODEL_FILE).is_file()


def check_model_folder(folder: Path) -> None:
    """Raises ConfigError if the folder holds no model."""
    if not is_model_folder(folder):
        raise ConfigError(
            f"{folder} holds no model ({MODEL_FILE} is missing); name a model folder."
        )


def write_spec(spec: JudgeSpec, file: Path) -> None:
    """Writes the whole spec as YAML; a file that is there already is replaced in one step."""
    text = yaml.safe_dump(
        spec.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=120
    )
    temporary = file.with_name(f".{file.name}.part")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(file)
