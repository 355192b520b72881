"""A judge from a model folder or a model's name on the hub, of the kind that its spec names."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
)
from transformers.utils import logging

from judge_server.model_folder import NO_CODE, check_model_folder, own_code_refusal
from judge_server.models.base import LocalJudge
from judge_server.models.causal import CausalJudge
from judge_server.models.classifier import ClassifierJudge
from judge_server.models.embedding_head import EmbeddingHeadJudge
from judge_server.models.vectors import SegmentVectors
from orchestrator.config.head_file import head_of
from orchestrator.core.judging import JudgeSpec
from orchestrator.errors import ConfigError

__all__ = ["LocalJudge", "hub_commit", "load_judge", "read_config", "read_tokenizer"]

# The commands show their own progress.
logging.disable_progress_bar()


def load_judge(
    source: Path | str,
    spec: JudgeSpec,
    *,
    new_head: bool = False,
    dtype: torch.dtype = torch.float32,
    device: torch.device | None = None,
    vectors: Path | None = None,
) -> LocalJudge:
    """The judge in a model folder, or (for a text that is no folder) of that name on the model hub.

    Nothing is downloaded for a folder, and no code or pickle of a model is run. With `new_head` an encoder without a head of two labels gets one,
    initialised from torch's generator; otherwise it is refused. `device` None is the accelerator if there is one; a model that is not trained is always there.
    `vectors` is a file for those of an embedding-head's segments.

    Raises ConfigError if there is no model, if it does not suit this kind of judge, or if its tokenizer begins
    both labels with the same token.
    """
    is_local = isinstance(source, Path) or Path(source).exists()
    if is_local:
        check_model_folder(Path(source))
    location = _location(source)
    with _as_config_error(source):
        tokenizer = AutoTokenizer.from_pretrained(**location)
        if spec.kind == "embedding-head":
            model = AutoModel.from_pretrained(**location, dtype=torch.float32, use_safetensors=True)
        elif spec.kind == "classification":
            labels = _labels(location, spec, new_head, source)
            with _no_warnings_if(new_head):
                model = AutoModelForSequenceClassification.from_pretrained(
                    **location, **labels, dtype=dtype, use_safetensors=True
                )
        else:
            model = AutoModelForCausalLM.from_pretrained(
                **location, dtype=dtype, attn_implementation="sdpa", use_safetensors=True
            )
    if spec.kind == "embedding-head":
        return _embedding_head(spec, model, tokenizer, vectors, is_new=new_head)
    model.to(device or _accelerator())
    if spec.kind == "classification":
        return ClassifierJudge(spec, model, tokenizer)
    return CausalJudge(spec, model, tokenizer)


def _embedding_head(
    spec: JudgeSpec, model: Any, tokenizer: Any, vectors: Path | None, *, is_new: bool
) -> EmbeddingHeadJudge:
    head = None if is_new else head_of(spec)
    model.to(_accelerator()).eval()
    hidden = int(model.config.get_text_config().hidden_size)
    if head is not None and len(head.projection[0]) != hidden:
        raise ConfigError(
            f"The head of judge {spec.name} reads vectors of {len(head.projection[0])} numbers, and this model gives "
            f"{hidden}; name the model that it was trained with."
        )
    positions = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    context = int(min(positions or 2**31, tokenizer.model_max_length))
    known = SegmentVectors(spec, model, tokenizer, context, vectors)
    return EmbeddingHeadJudge(spec, model, tokenizer, head, known)


def hub_commit(name: str) -> str | None:
    """The commit of a model on the hub, where it is known. Raises ConfigError if there is no such model."""
    with _as_config_error(name):
        commit: str | None = AutoConfig.from_pretrained(name, **NO_CODE)._commit_hash  # noqa: SLF001
        return commit


def read_config(source: str) -> Any:
    """The configuration of a model folder or of a model on the hub. Raises ConfigError if there is none."""
    with _as_config_error(source):
        return AutoConfig.from_pretrained(**_location(source))


def read_tokenizer(source: str) -> Any:
    """The tokenizer of a model folder or of a model on the hub. Raises ConfigError if there is none."""
    with _as_config_error(source):
        return AutoTokenizer.from_pretrained(**_location(source))


def _location(source: Path | str) -> dict[str, Any]:
    """The arguments of `from_pretrained` for a folder, from which nothing is downloaded, or a name on the hub."""
    is_local = isinstance(source, Path) or Path(source).exists()
    return {
        "pretrained_model_name_or_path": source,
        "local_files_only": is_local,
        **NO_CODE,
    }


@contextmanager
def _as_config_error(source: Path | str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, RecursionError, SafetensorError) as error:
        if "custom code" in str(error):  # transformers has no error of its own for it
            raise ConfigError(own_code_refusal(source)) from None
        reason = str(error).strip().partition("\n")[0].rstrip(".")
        raise ConfigError(
            f"{source} cannot be loaded as a model ({reason}); name a model folder, or a model on the hub "
            "that this machine can reach."
        ) from None


def _labels(
    location: dict[str, Any], spec: JudgeSpec, new_head: bool, source: Path | str
) -> dict[str, Any]:
    """The two labels for the model's configuration. Raises ConfigError for a model that lacks a head of two."""
    config = AutoConfig.from_pretrained(**location)
    has_head = config.num_labels == 2 and any(
        name.endswith("ForSequenceClassification") for name in config.architectures or ()
    )
    if not (has_head or new_head):
        raise ConfigError(
            f"{source} has no head of two labels, so it is not a classification judge yet; train it with "
            "deepprune-judge train."
        )
    by_number = dict(enumerate(spec.labels))
    return {
        "id2label": by_number,
        "label2id": {label: number for number, label in by_number.items()},
    }


@contextmanager
def _no_warnings_if(new_head: bool) -> Iterator[None]:
    """Hides transformers' warning of a head that is not in the file, where a new one is wanted."""
    level = logging.get_verbosity()
    if new_head:
        logging.set_verbosity_error()
    yield
    logging.set_verbosity(level)


def _accelerator() -> torch.device:
    return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
