"""Policies as a benchmark names them: `auto`, `cons@16`, `pass@8`, `deepprune:tau=0.25,survivors=20`.

`NAME@N` has at most N traces; without it, as many as the benchmark allows. After the colon stand settings of the
policy section, or of another one by its full path (`checkpoint.words=35`), and `judge_auroc` for a simulated judge
of its own (`deepprune:judge_auroc=perfect`).
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from orchestrator.config.load import load_settings
from orchestrator.errors import ConfigError
from orchestrator.settings import Settings

__all__ = ["PARALLEL_PROBE", "Auroc", "PolicySpec", "parse_auroc", "parse_policy"]

Auroc = float | Literal["perfect"]

PARALLEL_PROBE = "parallel-probe"
"""The one policy that is no policy of the core: it needs probes, which a stock server cannot give."""

_ALIASES = {"cons": "consensus", "pass": "consensus", PARALLEL_PROBE: "consensus"}


class PolicySpec(NamedTuple):
    """A policy with its settings.

    `label` is how the user wrote it. `traces` is its own N, None where the benchmark's limit holds. `scoring`
    "any" counts a question as right when any finished trace is right (pass@k), "vote" when the vote is. The
    simulated judge's AUROC is None where the benchmark's holds.
    """

    label: str
    player: Literal["core", "parallel-probe"]
    settings: Settings
    traces: int | None
    scoring: Literal["vote", "any"]
    judge_auroc: Auroc | None


def parse_auroc(text: str) -> Auroc:
    """An AUROC strictly between 0 and 1, or "perfect".

    Raises:
        ConfigError: it is neither.
    """
    if text == "perfect":
        return "perfect"
    try:
        auroc = float(text)
    except ValueError:
        auroc = math.nan
    if not 0.0 < auroc < 1.0:
        raise ConfigError(f"A judge's AUROC is {text}, but must lie between 0 and 1 or be perfect.")
    return auroc


def parse_policy(
    text: str,
    assignments: Sequence[str] = (),
    *,
    file: Path | None = None,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, Any] | None = None,
) -> PolicySpec:
    """The policy that `text` names; the other sources of settings hold unless it says otherwise.

    Raises:
        ConfigError: there is no such policy or setting, or N is no positive number.
    """
    head, _, options = text.partition(":")
    name, at, number = head.partition("@")
    traces = _number(text, number) if at else None
    if name == "pass" and traces is None:
        raise ConfigError("pass needs a number of traces; write pass@1.")
    own = dict(_option(option) for option in options.split(",")) if options else {}
    auroc = own.pop("judge_auroc", None)
    settings = load_settings(
        file=file,
        environ=environ or {},
        assignments=[*assignments, *(f"{_path(key)}={value}" for key, value in own.items())],
        flags={**(flags or {}), "policy.name": _ALIASES.get(name, name)},
    )
    return PolicySpec(
        label=text,
        player="parallel-probe" if name == PARALLEL_PROBE else "core",
        settings=settings,
        traces=1 if settings.policy.name == "pass1" else traces,
        scoring="any" if name == "pass" else "vote",
        judge_auroc=None if auroc is None else parse_auroc(auroc),
    )


def _number(text: str, number: str) -> int:
    if not number.isdecimal() or int(number) < 1:
        raise ConfigError(f"{text} needs a number of traces after @, such as cons@16.")
    return int(number)


def _option(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise ConfigError(f"The policy option {text} needs the form key=value, such as tau=0.25.")
    return key, value


def _path(key: str) -> str:
    return key if "." in key else f"policy.{key}"
