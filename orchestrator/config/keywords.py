"""Settings from the keyword arguments of the Python API; they have the names of the command-line flags."""

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypedDict

from orchestrator.config.load import flatten, load_settings
from orchestrator.errors import ConfigError
from orchestrator.settings import Settings

__all__ = ["KEYWORDS", "SettingKeywords", "settings_from_keywords"]

KEYWORDS = {
    "model": "endpoint.model",
    "judge_model": "judge.model",
    "judge_spec": "judge.spec",
    "prompt": "prompt.name",
    "system": "prompt.system",
    "traces": "policy.traces",
    "effort": "policy.effort",
    "budget": "policy.budget",
    "tau": "policy.tau",
    "min_ballots": "policy.min_ballots",
    "temperature": "sampling.temperature",
    "top_p": "sampling.top_p",
    "max_tokens": "sampling.max_tokens",
    "concurrency": "run.concurrency",
    "questions_at_once": "run.questions_at_once",
    "at_checkpoint": "checkpoint.at",
    "seed": "run.seed",
}
"""Each keyword is a short name for one setting."""


class SettingKeywords(TypedDict, total=False):
    """The keyword arguments that are settings; see `configs/default.yaml` for their defaults."""

    model: str
    judge_model: str
    judge_spec: str
    prompt: str
    system: str
    traces: int
    effort: Literal["low", "medium", "high"]
    budget: int
    tau: float
    min_ballots: int
    temperature: float
    top_p: float
    max_tokens: int
    concurrency: int
    questions_at_once: int
    at_checkpoint: Literal["pause", "run"]
    seed: int


def settings_from_keywords(
    keywords: SettingKeywords,
    *,
    named: Mapping[str, Any],
    settings: Mapping[str, Any],
    config: Path | None,
    preset: str | None = None,
) -> Settings:
    """Defaults < `preset` < `config` < environment < `settings` < keyword arguments.

    Args:
        keywords: settings by keyword.
        named: settings by dotted path, from the arguments with a name of their own; None stands for one not given.
        settings: sections, such as {"policy": {"tau": 0.6}}, or dotted paths, such as {"policy.tau": 0.6}.
        config: a YAML file with any of the settings.
        preset: a name in configs/models, or a YAML file.

    Raises:
        ConfigError: one sentence on the first unknown key or wrong value.
    """
    for name in keywords:
        if name not in KEYWORDS:
            near = difflib.get_close_matches(name, KEYWORDS, n=1)
            advice = (
                f"did you mean {near[0]}?" if near else "use settings={...} for other settings."
            )
            raise ConfigError(f"There is no argument {name}; {advice}")
    given = {path: value for path, value in named.items() if value is not None}
    by_path = {KEYWORDS[name]: value for name, value in keywords.items()}
    return load_settings(
        file=config,
        environ=os.environ,
        assignments=(),
        flags={**dict(flatten(settings)), **given, **by_path},
        flags_origin="the arguments",
        preset=preset,
    )
