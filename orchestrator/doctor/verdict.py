"""What the checks found: a verdict with its evidence and a remedy for each, and what follows from all of them."""

from collections.abc import Iterable
from typing import Literal

import msgspec

__all__ = [
    "Check",
    "Diagnosis",
    "RampStep",
    "Rates",
    "ServerDiagnosis",
    "Verdict",
    "exit_code",
    "overall",
]

Verdict = Literal["well", "limited", "unknown", "unusable"]
"""It works; it works with a loss; it cannot be told; runs are not possible with it."""

_EXIT_CODES: dict[Verdict, int] = {"well": 0, "limited": 3, "unknown": 3, "unusable": 1}
_WORST_FIRST: tuple[Verdict, ...] = ("unusable", "limited", "unknown")


class Check(msgspec.Struct, frozen=True):
    """One thing that was tried; `remedy` is None where there is nothing to do."""

    name: str
    verdict: Verdict
    evidence: str
    remedy: str | None = None


class RampStep(msgspec.Struct, frozen=True):
    """So many streams at once wrote so many tokens per second together; `refused` of them were refused or broke."""

    streams: int
    tokens_per_second: float
    refused: int = 0


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens per second under load, and pairs for a judge; None where they were not measured."""

    written: float | None = None
    read: float | None = None
    pairs: float | None = None


class ServerDiagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """All about one server; `model` is None where none was found."""

    role: Literal["reasoner", "judge"]
    endpoint: str
    checks: tuple[Check, ...]
    model: str | None = None
    ramp: tuple[RampStep, ...] = ()
    rates: Rates = Rates()


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """The whole result, as `--json` prints it; `settings` are those to take over, by dotted path."""

    schema: int = 1
    verdict: Verdict
    servers: tuple[ServerDiagnosis, ...]
    together: tuple[Check, ...] = ()
    """About several servers of the reasoner: whether traces can go from one to the other."""
    settings: dict[str, float | int] = {}

    @classmethod
    def of(
        cls,
        servers: Iterable[ServerDiagnosis],
        together: Iterable[Check],
        settings: dict[str, float | int],
    ) -> "Diagnosis":
        """The result of all checks, with the worst of their verdicts."""
        servers, together = tuple(servers), tuple(together)
        checks = [*together, *(check for server in servers for check in server.checks)]
        return cls(verdict=overall(checks), servers=servers, together=together, settings=settings)


def overall(checks: Iterable[Check]) -> Verdict:
    """The worst verdict."""
    found = {check.verdict for check in checks}
    return next((verdict for verdict in _WORST_FIRST if verdict in found), "well")


def exit_code(verdict: Verdict) -> int:
    """0: all is well; 3: something limits the runs or cannot be told; 1: no run is possible."""
    return _EXIT_CODES[verdict]
