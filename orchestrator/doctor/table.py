"""The diagnosis as tables for a terminal, one for each server, and the settings to paste below them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from orchestrator.doctor.advice import as_yaml
from orchestrator.doctor.verdict import Check, Diagnosis, RampStep, Verdict
from orchestrator.terminal.safe_stream import Trusted
from orchestrator.terminal.sanitize import sanitize

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

__all__ = ["render_diagnosis"]

_STYLES: dict[Verdict, str] = {
    "well": "green",
    "limited": "yellow",
    "unknown": "cyan",
    "unusable": "bold red",
}
_SUMMARY: dict[Verdict, str] = {
    "well": "All is well.",
    "limited": "Runs are possible, with the limits above.",
    "unknown": "Runs are possible; what could not be told is named above.",
    "unusable": "No run is possible with these servers as they are.",
}


def render_diagnosis(diagnosis: Diagnosis, console: Console) -> Trusted:
    """The whole result as text for `console`."""
    with console.capture() as capture:
        for server in diagnosis.servers:
            title = f"{server.role} {server.endpoint}"
            console.print(
                _table(f"{title} ({server.model})" if server.model else title, server.checks)
            )
            if server.ramp:
                console.print(_text("streams: tokens/s   " + _ramp(server.ramp)))
        if diagnosis.together:
            console.print(_table("servers together", diagnosis.together))
        if settings := as_yaml(diagnosis.servers, diagnosis.settings):
            console.print(_text("Settings to take over:"))
            console.print(_text(settings.rstrip(), one_line=False), soft_wrap=True)
        console.print(_text(_SUMMARY[diagnosis.verdict]))
    return Trusted(capture.get().rstrip("\n"))


def _table(title: str, checks: Iterable[Check]) -> Table:
    from rich.box import ROUNDED
    from rich.table import Table
    from rich.text import Text

    table = Table(title=_text(title), title_justify="left", box=ROUNDED, expand=False)
    table.add_column("check", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    table.add_column("evidence")
    for check in checks:
        evidence = _text(check.evidence)
        if check.remedy is not None:
            evidence.append("\nRemedy: ", style="bold").append(_text(check.remedy))
        verdict = Text(check.verdict, style=_STYLES[check.verdict])
        table.add_row(_text(check.name), verdict, evidence)
    return table


def _ramp(steps: Iterable[RampStep]) -> str:
    return "  ".join(f"{step.streams}: {step.tokens_per_second:,.0f}" for step in steps)


def _text(text: str, *, one_line: bool = True) -> Text:
    from rich.text import Text

    return Text(sanitize(text, one_line=one_line))
