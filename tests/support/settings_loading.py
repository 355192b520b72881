"""Settings loaded as the command line loads them, and the sentences that refuse them."""

from pathlib import Path
from typing import Any

import pytest

from orchestrator.config.load import load_settings
from orchestrator.errors import ConfigError
from orchestrator.settings import (
    Settings,
)

__all__ = ["loaded", "refusal", "written"]


def loaded(
    *assignments: str,
    file: Path | None = None,
    environ: dict[str, str] | None = None,
    flags: dict[str, Any] | None = None,
) -> Settings:
    return load_settings(
        file=file, environ=environ or {}, assignments=assignments, flags=flags or {}
    )


def refusal(*assignments: str, **sources: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        loaded(*assignments, **sources)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    assert "pydantic" not in message
    return message


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return path
