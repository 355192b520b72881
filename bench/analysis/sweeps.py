"""The effect of one setting: the rows of a comparison that differ in nothing else, sorted by its value.

Settings are read from the labels of policies, so this works for any outcomes, whether a sweep made them or not.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from bench.analysis.comparison import PolicyRow

__all__ = ["SettingSeries", "setting_series"]

_TRACES = "traces"


class SettingSeries(NamedTuple):
    """One setting of one policy on one file; `rows` has the row of each of `values`, which are as the user wrote them.

    `oracle` is the row of a policy that knows each question's best value, None where it cannot be computed.
    """

    file: str
    policy: str
    setting: str
    values: Sequence[str]
    rows: Sequence[PolicyRow]
    oracle: PolicyRow | None = None


def setting_series(rows: Sequence[PolicyRow]) -> list[SettingSeries]:
    """A series for each setting that has two values or more while all else is equal; plain votes are left out."""
    groups: dict[tuple[str, str, str], dict[str, PolicyRow]] = {}
    for row in rows:
        if row.is_vote:
            continue
        name, settings = _parse(row.policy)
        for setting, value in settings.items():
            others = {key: each for key, each in settings.items() if key != setting}
            group = groups.setdefault((row.file, _spell(name, others), setting), {})
            group[value] = row
    return [
        _series(file, policy, setting, group)
        for (file, policy, setting), group in groups.items()
        if len(group) > 1
    ]


def _series(file: str, policy: str, setting: str, group: Mapping[str, PolicyRow]) -> SettingSeries:
    values = sorted(group, key=_sort_key)
    return SettingSeries(file, policy, setting, values, [group[value] for value in values])


def _sort_key(value: str) -> tuple[bool, float]:
    """Numbers by size, then words in the order of the rows, which is by cost."""
    try:
        return (False, float(value))
    except ValueError:
        return (True, 0.0)


def _parse(label: str) -> tuple[str, dict[str, str]]:
    head, _, options = label.partition(":")
    name, at, traces = head.partition("@")
    settings = {_TRACES: traces} if at else {}
    for option in filter(None, options.split(",")):
        key, _, value = option.partition("=")
        settings[key] = value
    return name, settings


def _spell(name: str, settings: Mapping[str, str]) -> str:
    head = f"{name}@{settings[_TRACES]}" if _TRACES in settings else name
    options = ",".join(f"{key}={value}" for key, value in settings.items() if key != _TRACES)
    return f"{head}:{options}" if options else head
