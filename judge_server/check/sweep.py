"""Policies replayed on the recorded traces with the judge's verdicts: tokens saved against accuracy, with both bills."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from judge_server.check.bench import run_bench
from judge_server.check.request import CheckRequest

__all__ = ["PolicyFigures", "Sweep", "replay_policies"]


class PolicyFigures(NamedTuple):
    """A policy's row of `deepprune-bench compare`; tokens are means per question, fractions in 0..1.

    `tau` is None for a policy without it. `cost` counts the judge's tokens at their price, `saved` is against the most
    expensive vote. `clusters` and `largest_cluster` (of the traces) are None without a judge.
    """

    policy: str
    tau: float | None
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    tokens: float
    judge_tokens: float
    cost: float
    saved: float | None
    saved_before_judge: float | None
    clusters: float | None
    largest_cluster: float | None
    difference: float | None
    verdict: str


class Sweep(NamedTuple):
    """All rows, the failure signatures that they show, and the folder with the pictures."""

    rows: list[PolicyFigures]
    findings: list[str]
    folder: Path


def replay_policies(request: CheckRequest, traces: Path, scores: Path) -> Sweep:
    """Votes, `auto` without and with the judge, and `deepprune` at every tau.

    Raises DeepPruneError if a replay fails.
    """
    folder = request.out / "replay"
    outcomes = folder / "outcomes.jsonl"
    taus = {f"deepprune:survivors={request.survivors},tau={tau:g}": tau for tau in request.taus}
    votes = [f"cons@{n}" for n in _votes(request.traces)]
    policies = [*votes, "auto", "auto:use_judge=true", *taus]
    run_bench(
        [
            "run",
            *("--replay", str(traces)),
            *(word for policy in policies for word in ("--policy", policy)),
            *("--judge-scores", str(scores), "--max-traces", str(request.traces)),
            *("--resamples", str(request.resamples), "--seed", str(request.seed)),
            *("--out", str(outcomes), "--json"),
        ]
    )
    price = ("--judge-price", f"{request.judge_price:g}")
    run_bench(["compare", str(outcomes), "--out", str(folder), *price])
    table = json.loads((folder / "table.json").read_bytes())
    return Sweep([_figures(row, taus) for row in table["rows"]], table["findings"], folder)


def _votes(traces: int) -> list[int]:
    """1, 2, 4 and so on, up to all traces."""
    return [*(2**n for n in range(traces.bit_length()) if 2**n < traces), traces]


def _figures(row: dict[str, Any], taus: dict[str, float]) -> PolicyFigures:
    known = {name: row[name] for name in PolicyFigures._fields if name != "tau"}
    return PolicyFigures(tau=taus.get(row["policy"]), **known)
