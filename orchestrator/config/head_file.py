"""The file of a judge's head: JSON beside the judge's YAML."""

from pathlib import Path

import msgspec

from orchestrator.core.embedding_head import EmbeddingHead
from orchestrator.core.judging import JudgeSpec
from orchestrator.errors import ConfigError

__all__ = ["head_of"]

_MAX_BYTES = 1 << 26


def head_of(spec: JudgeSpec) -> EmbeddingHead:
    """The trained head of a judge of the kind embedding-head.

    Raises ConfigError where the spec names none, or the file cannot be read or holds no head.
    """
    if spec.head is None:
        raise ConfigError(
            f"Judge {spec.name} has no head yet; train it with deepprune-judge train, and name the judge.yaml that it writes."
        )
    file = Path(spec.head)
    try:
        with file.open("rb") as opened:
            content = opened.read(_MAX_BYTES + 1)
        if len(content) > _MAX_BYTES:
            raise ValueError("it is larger than 64 MiB")
        head = msgspec.json.decode(content, type=EmbeddingHead)
        head.check()
    except (OSError, ValueError, msgspec.MsgspecError, RecursionError) as error:
        raise ConfigError(
            f"{file} cannot be read as the head of judge {spec.name} ({error}); train the judge again, or copy the whole folder."
        ) from None
    return head
