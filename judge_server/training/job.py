"""A training, and everything that decides its weights: settings, and hashes of the files that it reads."""

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from judge_server.data.splits import Fold
from judge_server.model_folder import check_model_folder
from judge_server.models.load import hub_commit
from judge_server.training.data import TrainingSource
from judge_server.training.settings import TrainSettings
from orchestrator.core.judging import JudgeSpec

__all__ = ["TrainingJob"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingJob:
    """A training: the judge, its settings, its data, and the folder for the result.

    `init` is a model folder or a model's name on the hub. With `checkpoint_steps` None the training state is saved
    at the end of each epoch only. `command` is for the model card.
    `vectors` is the file that keeps the vectors of an embedding-head's segments; it decides nothing.
    """

    spec: JudgeSpec
    settings: TrainSettings
    source: TrainingSource
    fold: Fold | None = None
    init: str
    out: Path
    resume: bool = False
    checkpoint_steps: int | None = None
    command: str = ""
    vectors: Path | None = None

    def identity(self) -> dict[str, Any]:
        """Everything that decides the weights, as JSON; a training can only be resumed with the same.

        Raises DatasetError or ConfigError for a file that cannot be read.
        """
        return {
            "judge": self.spec.model_dump(mode="json"),
            "settings": self.settings.model_dump(mode="json"),
            "fold": None if self.fold is None else asdict(self.fold),
            "tokenizer": None
            if self.source.tokenizer is None
            else self.source.tokenizer.as_posix(),
            "data_sha256": [_hash_file(file) for file in self.source.files],
            "init_version": _weights_version(self.init),
        }


def _weights_version(init: str) -> str | None:
    """The SHA-256 of a folder's weights (of several files: over their hashes), or the hub's commit."""
    folder = Path(init)
    if not folder.exists():
        return hub_commit(init)
    check_model_folder(folder)
    hashes = [_hash_file(file) for file in sorted(folder.glob("*.safetensors"))]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
