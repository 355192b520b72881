"""The state of a training on disk, from which an interrupted training is resumed with the same result.

The rule: a file or folder under its final name is complete. Everything is written under another name and renamed,
and nothing old is removed before the new is in place.

`OUT/checkpoint/` holds `run.json` (what is being trained), `step-N/` (the state after N steps) and
`best.safetensors` (the trained weights of the best epoch so far); it is removed when the training ends. Tensors are in
safetensors and everything else is JSON. accelerate's own checkpoints are not used, because they are pickles: reading one
runs what whoever wrote it has put there.
"""

import json
import math
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from judge_server.model_folder import read_json_object
from judge_server.training.learner import Learner, Snapshot
from orchestrator.errors import ConfigError

__all__ = ["EpochResult", "StateFolder", "TrainingState"]

TENSORS_FILE, VALUES_FILE = "state.safetensors", "state.json"
SMOOTHING = 0.98
"""The weight of the earlier steps in the smoothed loss."""


@dataclass(frozen=True, slots=True)
class EpochResult:
    """The smoothed training loss at an epoch's end, and the validation AUROCs (None without validation)."""

    loss: float
    auroc: float | None = None
    auroc_within: float | None = None


@dataclass
class TrainingState:
    """The progress of a training: steps made, the smoothed loss, seconds spent, and the finished epochs."""

    steps: int = 0
    loss: float = float("nan")
    seconds: float = 0.0
    epochs: list[EpochResult] = field(default_factory=list)

    @property
    def best_epoch(self) -> int:
        """The number, from 1, of the epoch with the best validation AUROC; without validation the last."""
        scores = [-1.0 if result.auroc is None else result.auroc for result in self.epochs]
        return max(range(len(scores)), key=lambda index: (scores[index], index)) + 1

    def count(self, loss: float, seconds: float) -> None:
        """Adds a step with its loss; the first one begins the smoothed loss."""
        self.steps += 1
        is_first = math.isnan(self.loss)
        self.loss = loss if is_first else SMOOTHING * self.loss + (1.0 - SMOOTHING) * loss
        self.seconds += seconds

    def restore(self, values: Mapping[str, Any]) -> None:
        """Takes the values that `dataclasses.asdict` gave."""
        self.steps, self.loss, self.seconds = values["steps"], values["loss"], values["seconds"]
        self.epochs = [EpochResult(**result) for result in values["epochs"]]


class StateFolder:
    """The folder with the state of one training; `run` is everything that decides its weights, as JSON."""

    def __init__(self, out: Path, run: Mapping[str, Any]) -> None:
        self.folder = out / "checkpoint"
        self._run = json.loads(json.dumps(run))

    def check(self, *, resume: bool) -> None:
        """Raises ConfigError if the folder holds another training, or this one without `resume`."""
        record = self.folder / "run.json"
        if not record.is_file():
            return
        if not resume:
            raise ConfigError(
                f"{self.folder} holds an unfinished training; add --resume to continue it, or remove the folder."
            )
        changed = _first_change(json.loads(record.read_text()), self._run)
        if changed is not None:
            name, before, now = changed
            raise ConfigError(
                f"{name} was {before} when the training in {self.folder} began and is {now} now; restore it, "
                "or give another folder with --out."
            )

    def begin(self) -> None:
        """Makes the folder, for a new training."""
        self.folder.mkdir(parents=True, exist_ok=True)
        _write_whole(self.folder / "run.json", json.dumps(self._run, indent=2).encode())

    def save(self, learner: Learner, state: TrainingState, accelerator: Accelerator) -> None:
        """Saves the state after its steps and removes the one before; all processes call it together."""
        snapshot = learner.snapshot()
        if accelerator.is_main_process:
            written = self.folder / "writing"
            shutil.rmtree(written, ignore_errors=True)
            written.mkdir()
            save_file(snapshot.tensors, written / TENSORS_FILE)
            values = {"learner": snapshot.values, "training": asdict(state)}
            (written / VALUES_FILE).write_text(json.dumps(values), encoding="utf-8")
            new = self.folder / f"step-{state.steps}"
            written.rename(new)
            for old in self._states():
                if old != new:
                    shutil.rmtree(old)
        accelerator.wait_for_everyone()

    def load(self, learner: Learner, state: TrainingState) -> None:
        """Restores the last saved state, if there is one. Raises ConfigError if it cannot be read."""
        if not (states := self._states()):
            return
        try:
            tensors = load_file(states[-1] / TENSORS_FILE)
            values = read_json_object(states[-1] / VALUES_FILE)
            learner.restore(Snapshot(tensors, values["learner"]))
            state.restore(values["training"])
        except (OSError, ValueError, TypeError, KeyError, RuntimeError, SafetensorError) as error:
            raise ConfigError(
                f"{states[-1]} is not a training state of this version ({str(error).splitlines()[0]}); remove {self.folder} "
                "and start the training again."
            ) from None

    def save_best(self, weights: Mapping[str, Tensor]) -> None:
        """Saves trained weights in place of those of an earlier epoch."""
        written = self.folder / "best.writing"
        save_file({name: value.contiguous().cpu() for name, value in weights.items()}, written)
        written.replace(self.folder / "best.safetensors")

    def load_best(self) -> dict[str, Tensor]:
        """The weights last given to `save_best`."""
        weights: dict[str, Tensor] = load_file(self.folder / "best.safetensors")
        return weights

    def make_result_folder(self) -> Path:
        """An empty folder on the same disk, in which the finished judge is assembled."""
        folder = self.folder / "finished"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return folder

    def remove(self) -> None:
        """Removes the folder when the judge is complete."""
        finished = self.folder.with_name("checkpoint.finished")
        shutil.rmtree(finished, ignore_errors=True)
        self.folder.rename(finished)
        shutil.rmtree(finished)

    def _states(self) -> list[Path]:
        """The complete states, oldest first."""
        return sorted(self.folder.glob("step-*"), key=lambda path: int(path.name[len("step-") :]))


def _write_whole(path: Path, content: bytes) -> None:
    written = path.with_name(path.name + ".writing")
    written.write_bytes(content)
    written.replace(path)


def _first_change(
    before: Mapping[str, Any], now: Mapping[str, Any], prefix: str = ""
) -> tuple[str, Any, Any] | None:
    """Path, old value and new value of the first difference."""
    for name in [*before, *(name for name in now if name not in before)]:
        old, new = before.get(name), now.get(name)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            if (inner := _first_change(old, new, f"{prefix}{name}.")) is not None:
                return inner
        elif old != new:
            return prefix + name, json.dumps(old), json.dumps(new)
    return None
