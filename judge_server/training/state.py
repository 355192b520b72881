"""Where a training stands, on disk, so that one that was stopped goes on as if it never had been.

The rule: what has its final name is complete. Everything is written under another name and renamed, and of
the old nothing goes before the new is there.

`OUT/checkpoint/` holds `run.json` (what is being trained), `step-N/` (accelerate's state after N steps),
`best.safetensors` (the learned weights of the best epoch so far), and disappears with the training's end.
"""

import json
import math
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from safetensors.torch import load_file, save_file
from torch import Tensor

from orchestrator.errors import ConfigError

__all__ = ["EpochResult", "TrainingState", "TrainingStates"]

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
    """How far a training has come: `steps` in all, the smoothed loss, seconds spent, and epochs finished."""

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

    def state_dict(self) -> dict[str, Any]:
        """For accelerate."""
        return asdict(self)

    def load_state_dict(self, values: Mapping[str, Any]) -> None:
        """For accelerate."""
        self.steps, self.loss, self.seconds = values["steps"], values["loss"], values["seconds"]
        self.epochs = [EpochResult(**result) for result in values["epochs"]]


class TrainingStates:
    """The checkpoint folder of one training; `run` is all that decides its weights, as JSON."""

    def __init__(self, out: Path, run: Mapping[str, Any]) -> None:
        self.folder = out / "checkpoint"
        self._run = json.loads(json.dumps(run))

    def check(self, *, resume: bool) -> None:
        """Raises ConfigError if another training is under way here, or this one and it is not to go on."""
        record = self.folder / "run.json"
        if not record.is_file():
            return
        if not resume:
            raise ConfigError(
                f"{self.folder} holds an unfinished training; add --resume to go on with it, or remove it."
            )
        changed = _first_change(json.loads(record.read_text()), self._run)
        if changed is not None:
            name, before, now = changed
            raise ConfigError(
                f"{name} was {before} when the training in {self.folder} began and is {now} now; give it back "
                "its value, or train into another --out."
            )

    def begin(self) -> None:
        """Makes the folder, for a training that starts."""
        self.folder.mkdir(parents=True, exist_ok=True)
        _write_whole(self.folder / "run.json", json.dumps(self._run, indent=2).encode())

    def save(self, accelerator: Accelerator, steps: int) -> None:
        """Keeps the state after `steps` steps in place of the one before; all processes call it together."""
        new = self.folder / f"step-{steps}"
        written = self.folder / "writing"
        if accelerator.is_main_process:
            shutil.rmtree(written, ignore_errors=True)
        accelerator.wait_for_everyone()
        accelerator.save_state(str(written))
        accelerator.wait_for_everyone()
        if accelerator.is_main_process:
            written.rename(new)
            for old in self._states():
                if old != new:
                    shutil.rmtree(old)
        accelerator.wait_for_everyone()

    def load(self, accelerator: Accelerator) -> None:
        """Brings back the last state that was kept, if there is one."""
        if states := self._states():
            accelerator.load_state(str(states[-1]))
            accelerator.step = (
                0  # the number of processes, and so of batches a step, may have changed
            )

    def save_best(self, weights: Mapping[str, Tensor]) -> None:
        """Keeps learned weights in place of those of an earlier epoch."""
        written = self.folder / "best.writing"
        save_file({name: value.contiguous().cpu() for name, value in weights.items()}, written)
        written.replace(self.folder / "best.safetensors")

    def load_best(self) -> dict[str, Tensor]:
        """The weights last given to `save_best`."""
        weights: dict[str, Tensor] = load_file(self.folder / "best.safetensors")
        return weights

    def room_for_result(self) -> Path:
        """An empty folder on the same disk, in which the finished judge is put together."""
        folder = self.folder / "finished"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return folder

    def remove(self) -> None:
        """Takes the folder away when the judge is complete."""
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
    """Path, old and new value of the first thing that differs."""
    for name in [*before, *(name for name in now if name not in before)]:
        old, new = before.get(name), now.get(name)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            if (inner := _first_change(old, new, f"{prefix}{name}.")) is not None:
                return inner
        elif old != new:
            return prefix + name, json.dumps(old), json.dumps(new)
    return None
