"""Policies with their settings in one text: `auto`, `cons@16`, `pass@8`, `deepprune:tau=0.25,survivors=20`.

`NAME@N` has at most N traces; without it, as many as the benchmark allows. After the colon come settings of the policy
section, or of another section by their full path (`checkpoint.words=35`), and `judge_auroc` for a simulated judge of the
policy's own (`deepprune:judge_auroc=perfect`).
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from orchestrator.config.explain import foreign_setting, leaves
from orchestrator.config.load import (
    Assigned,
    from_environment,
    from_file,
    from_flags,
    from_set,
    resolve,
)
from orchestrator.config.shipped import preset_file
from orchestrator.errors import ConfigError
from orchestrator.settings import Settings, policies_with

__all__ = ["REPLAY_ONLY", "Auroc", "Player", "PolicySpec", "parse_auroc", "parse_policies"]

Auroc = float | Literal["perfect"]

Player = Literal["core", "parallel-probe", "mars", "polr", "probe-lead", "launch-vote"]
"""The core, or a baseline that only exists in a replay."""

REPLAY_ONLY: tuple[Player, ...] = (
    "parallel-probe",
    "mars",
    "polr",
    "probe-lead",
    "launch-vote",
)

_ALIASES: dict[str, str] = dict.fromkeys(("cons", "pass", *REPLAY_ONLY), "consensus")


class PolicySpec(NamedTuple):
    """A policy with its settings.

    `label` is the text that the user wrote. `traces` is the policy's own N, None for the benchmark's limit. With
    `scoring` "any" a question is right if any finished trace is right (pass@k), with "vote" if the vote is. `judge_auroc`
    is the simulated judge's, None for the benchmark's. `lead` is that at which `probe-lead` stops, in votes, None for its own.
    """

    label: str
    player: Player
    settings: Settings
    traces: int | None
    scoring: Literal["vote", "any"]
    judge_auroc: Auroc | None
    lead: float | None = None


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
        raise ConfigError(f"A judge's AUROC is {text}; give a number between 0 and 1, or perfect.")
    return auroc


def parse_policies(
    texts: Sequence[str],
    assignments: Sequence[str] = (),
    *,
    file: Path | None = None,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, Any] | None = None,
    preset: str | None = None,
    defaults: Sequence[str] = (),
) -> list[PolicySpec]:
    """The policies that `texts` name; a text's own settings take precedence over those of the other sources.

    A setting from the other sources applies to the policies that have it. See `load_settings` for the sources;
    `defaults` are assignments below all of them.

    Raises:
        ConfigError: there is no such policy or setting, none of the policies has a setting, or N is not a positive number.
    """
    tree = leaves(Settings)
    shared = [
        *from_set(defaults, tree),
        *(from_file(preset_file(preset)) if preset else ()),
        *(from_file(file) if file else ()),
        *from_environment(environ or {}, tree),
        *from_set(assignments, tree),
    ]
    flagged = list(from_flags(flags or {}))
    specs = [_parse(text, shared, flagged) for text in texts]
    _validate_shared([*shared, *flagged], specs)
    return specs


def _parse(text: str, shared: Sequence[Assigned], flagged: Sequence[Assigned]) -> PolicySpec:
    head, _, options = text.partition(":")
    name, at, number = head.partition("@")
    traces = _number(text, number) if at else None
    if name == "pass" and traces is None:
        raise ConfigError("pass needs a number of traces; write pass@1.")
    own = dict(_option(option) for option in options.split(",")) if options else {}
    auroc = own.pop("judge_auroc", None)
    lead = own.pop("lead", None) if name == "probe-lead" else None
    policy = _ALIASES.get(name, name)
    assignments = [f"{_path(key)}={value}" for key, value in own.items()]
    settings = resolve(
        [
            *(each for each in shared if _applies(each, policy)),
            *from_set(assignments, leaves(Settings), text),
            *(each for each in flagged if _applies(each, policy)),
            Assigned("policy.name", policy, text),
        ]
    )
    return PolicySpec(
        label=text,
        player=next((each for each in REPLAY_ONLY if each == name), "core"),
        settings=settings,
        traces=1 if settings.policy.name == "pass1" else traces,
        scoring="any" if name == "pass" else "vote",
        judge_auroc=None if auroc is None else parse_auroc(auroc),
        lead=None if lead is None else _lead(lead),
    )


def _lead(text: str) -> float:
    try:
        lead = float(text)
    except ValueError:
        lead = math.nan
    if not 0.0 < lead < math.inf:
        raise ConfigError(f"The lead of probe-lead is {text}; give a number of votes above 0.")
    return lead


def _applies(assigned: Assigned, policy: str) -> bool:
    """Whether a shared setting is for this policy: it has the setting, or no policy has it, which is reported later."""
    owners = _owners(assigned)
    return not owners or policy in owners


def _owners(assigned: Assigned) -> tuple[str, ...]:
    """The policies that have a setting of the policy section; empty for any other path."""
    section, _, key = assigned.path.partition(".")
    return policies_with(key) if section == "policy" else ()


def _validate_shared(shared: Sequence[Assigned], specs: Sequence[PolicySpec]) -> None:
    names = list(dict.fromkeys(spec.settings.policy.name for spec in specs))
    for each in shared:
        owners = _owners(each)
        if owners and not set(owners) & set(names):
            raise ConfigError(foreign_setting(each.path, each.origin, " or ".join(names), owners))


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
