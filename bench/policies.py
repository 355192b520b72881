"""Policies as a benchmark names them: `auto`, `cons@16`, `pass@8`, `deepprune:tau=0.25,survivors=20`.

`NAME@N` has at most N traces; without it, as many as the benchmark allows. After the colon stand settings of the
policy section, or of another one by its full path (`checkpoint.words=35`).
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from orchestrator.config import Settings, load_settings
from orchestrator.errors import ConfigError

__all__ = ["PARALLEL_PROBE", "PolicySpec", "parse_policy"]

PARALLEL_PROBE = "parallel-probe"
"""The one policy that is no policy of the core: it needs probes, which a stock server cannot give."""

_ALIASES = {"cons": "consensus", "pass": "consensus", PARALLEL_PROBE: "consensus"}


class PolicySpec(NamedTuple):
    """A policy with its settings.

    `label` is how the user wrote it. `traces` is its own N, None where the benchmark's limit holds. `scoring`
    "any" counts a question as right when any finished trace is right (pass@k), "vote" when the vote is.
    """

    label: str
    player: Literal["core", "parallel-probe"]
    settings: Settings
    traces: int | None
    scoring: Literal["vote", "any"]


def parse_policy(text: str, assignments: Sequence[str] = ()) -> PolicySpec:
    """The policy that `text` names; `assignments` (`policy.effort=low`) hold unless it says otherwise.

    Raises:
        ConfigError: there is no such policy or setting, or N is no positive number.
    """
    head, _, options = text.partition(":")
    name, at, number = head.partition("@")
    traces = _number(text, number) if at else None
    if name == "pass" and traces is None:
        raise ConfigError("pass needs a number of traces; write pass@1.")
    own = [_assignment(option) for option in options.split(",")] if options else []
    settings = load_settings(
        file=None,
        environ={},
        assignments=[*assignments, *own],
        flags={"policy.name": _ALIASES.get(name, name)},
    )
    return PolicySpec(
        label=text,
        player="parallel-probe" if name == PARALLEL_PROBE else "core",
        settings=settings,
        traces=1 if settings.policy.name == "pass1" else traces,
        scoring="any" if name == "pass" else "vote",
    )


def _number(text: str, number: str) -> int:
    if not number.isdecimal() or int(number) < 1:
        raise ConfigError(f"{text} needs a number of traces after @, such as cons@16.")
    return int(number)


def _assignment(option: str) -> str:
    key, equals, value = option.partition("=")
    if not equals:
        raise ConfigError(f"The policy option {option} needs the form key=value, such as tau=0.25.")
    return f"{key if '.' in key else 'policy.' + key}={value}"
