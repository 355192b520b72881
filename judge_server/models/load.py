"""A judge from a model folder or a model's name: the right kind for its spec, ready to score."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
)
from transformers.utils import logging

from judge_server.models.base import LocalJudge
from judge_server.models.causal import CausalJudge
from judge_server.models.classifier import ClassifierJudge
from orchestrator.core.judging import JudgeSpec
from orchestrator.errors import ConfigError

__all__ = ["LocalJudge", "hub_commit", "load_judge"]

# Whoever loads a judge shows its own progress.
logging.disable_progress_bar()  # type: ignore[no-untyped-call]


def load_judge(
    source: Path | str,
    spec: JudgeSpec,
    *,
    new_head: bool = False,
    dtype: torch.dtype = torch.float32,
    device: torch.device | None = None,
) -> LocalJudge:
    """The judge in a model folder, or (for a text that is no folder) of that name on the model hub.

    Nothing is downloaded for a folder. With `new_head` an encoder without a head of two labels gets one,
    drawn from torch's generator; without, it is refused. `device` is the accelerator if there is one.

    Raises ConfigError if there is no model, if it is none for this kind of judge, or if its tokenizer
    cannot tell the labels apart.
    """
    is_local = isinstance(source, Path) or Path(source).is_dir()
    if is_local and not (Path(source) / "config.json").is_file():
        raise ConfigError(f"{source} holds no model (config.json is missing); name a model folder.")
    places: dict[str, Any] = {
        "pretrained_model_name_or_path": source,
        "local_files_only": is_local,
    }
    with _as_config_error(source):
        tokenizer = AutoTokenizer.from_pretrained(**places)
        if spec.kind == "classification":
            head = _head(places, spec, new_head, source)
            with _expecting_a_new_head(new_head):
                model = AutoModelForSequenceClassification.from_pretrained(
                    **places, **head, dtype=dtype
                )
        else:
            model = AutoModelForCausalLM.from_pretrained(
                **places, dtype=dtype, attn_implementation="sdpa"
            )
    model.to(device or _accelerator())
    if spec.kind == "classification":
        return ClassifierJudge(spec, model, tokenizer)
    return CausalJudge(spec, model, tokenizer)


def hub_commit(name: str) -> str | None:
    """The version of a model on the hub, where one is told. Raises ConfigError if there is no such model."""
    with _as_config_error(name):
        commit: str | None = AutoConfig.from_pretrained(name)._commit_hash  # noqa: SLF001
        return commit


@contextmanager
def _as_config_error(source: Path | str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0].rstrip(".")
        raise ConfigError(
            f"{source} cannot be loaded as a model ({reason}); name a model folder, or a model on the hub "
            "that this machine can reach."
        ) from None


def _head(
    places: dict[str, Any], spec: JudgeSpec, new_head: bool, source: Path | str
) -> dict[str, Any]:
    """The two labels for the model's configuration. Raises ConfigError where a head is needed."""
    config = AutoConfig.from_pretrained(**places)
    has_head = config.num_labels == 2 and any(
        name.endswith("ForSequenceClassification") for name in config.architectures or ()
    )
    if not (has_head or new_head):
        raise ConfigError(
            f"{source} has no head of two labels, so it is no classification judge yet; train it with "
            "deepprune-judge train."
        )
    labels = dict(enumerate(spec.labels))
    return {"id2label": labels, "label2id": {label: number for number, label in labels.items()}}


@contextmanager
def _expecting_a_new_head(expected: bool) -> Iterator[None]:
    """Then transformers' warning of it is no news."""
    level = logging.get_verbosity()
    if expected:
        logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    yield
    logging.set_verbosity(level)


def _accelerator() -> torch.device:
    return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
