"""The settings that follow from what was measured: streams at once, and prices in generated reasoner tokens."""

from collections.abc import Mapping, Sequence
from statistics import fmean

import yaml

from orchestrator.doctor.load import choose_streams
from orchestrator.doctor.verdict import ServerDiagnosis

__all__ = ["as_yaml", "settings_to_take"]

_DIGITS = 3


def settings_to_take(servers: Sequence[ServerDiagnosis]) -> dict[str, float | int]:
    """Settings by dotted path; those that were not measured are left out.

    A token costs the seconds that a server needs for it under load, in seconds of a token that the reasoner writes.
    """
    reasoners = [server for server in servers if server.role == "reasoner"]
    found: dict[str, float | int] = {}
    if reasoners and all(server.ramp for server in reasoners):
        found["run.concurrency"] = sum(choose_streams(server.ramp) for server in reasoners)
    written = _mean([server.rates.written for server in reasoners])
    if not written:
        return found
    if read := _mean([server.rates.read for server in reasoners]):
        found["prices.prompt_token"] = _rounded(written / read)
    judges = [server for server in servers if server.role == "judge"]
    if judged := _mean([server.rates.read for server in judges]):
        found["prices.judge_prompt_token"] = _rounded(written / judged)
    return found


def as_yaml(servers: Sequence[ServerDiagnosis], settings: Mapping[str, float | int]) -> str:
    """The settings as YAML to paste, with the seconds they come from as comments; empty without settings."""
    if not settings:
        return ""
    nested: dict[str, dict[str, float | int]] = {}
    for path, value in settings.items():
        section, _, name = path.partition(".")
        nested.setdefault(section, {})[name] = value
    return "".join(f"# {line}\n" for line in _measured(servers)) + yaml.safe_dump(
        nested, sort_keys=False
    )


def _measured(servers: Sequence[ServerDiagnosis]) -> list[str]:
    """Seconds for a thousand tokens under load, of each server."""
    lines = []
    for server in servers:
        parts = [
            f"{1000 / rate:.3g} s for 1,000 tokens {what}"
            for rate, what in ((server.rates.written, "written"), (server.rates.read, "read"))
            if rate
        ]
        if parts:
            lines.append(f"{server.role} {server.endpoint}: {', '.join(parts)}")
    return lines


def _mean(rates: Sequence[float | None]) -> float | None:
    known = [rate for rate in rates if rate]
    return fmean(known) if known else None


def _rounded(price: float) -> float:
    return float(f"{price:.{_DIGITS}g}")
