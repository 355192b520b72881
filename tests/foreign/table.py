"""What was found of the foreign servers, as a page of the documentation; and what of it is a fault of ours."""

from collections.abc import Sequence
from typing import NamedTuple

from tests.foreign.checks import Findings, Stopped, Whole

__all__ = ["Expected", "Row", "faults", "page"]

_HEAD = """\
# Servers that were tried

DeepPrune against servers that others wrote. Each answered one question three times: by a vote of four traces of 48
tokens, by a vote that closes the streams of the others when the first of eight traces has ended, and by a run that is killed and resumed. The
figures are compared with the counters of the engine that generates. `make test-foreign` installs the servers and writes this
page again.

- **mode**: how traces are asked for. By token ids, a stream can be continued exactly.
- **whole traces**: generated tokens on the bill, the engine's own count, and what counted them (`source` in the report).
- **closed streams**: the same for the vote that closes them, with the seconds until the engine was idle. The server may have
  generated a few tokens that were on their way when a stream was closed. llama.cpp does not count closed streams.
- **cancellation**: what the check at the start found (`ledger.reasoner.cancellation` in the report).
- **killed and resumed**: how many of the four traces went on. Where a server cannot continue a stream, a trace of which tokens
  had come is lost, and the others are asked again.
"""


class Expected(NamedTuple):
    """What must be found, or the row is a fault."""

    api: str
    cancellation: str
    exact: bool = True
    """Whole traces cost what the engine counted."""
    continues: bool = True
    """A killed run goes on with all its traces."""


class Row(NamedTuple):
    """One served model."""

    server: str
    expected: Expected
    found: Findings


def faults(rows: Sequence[Row]) -> list[str]:
    """A sentence for everything that is not as expected."""
    return [f"{row.server}: {fault}" for row in rows for fault in _faults(row)]


def _faults(row: Row) -> list[str]:
    expected, found = row.expected, row.found
    whole, stopped = found.whole, found.stopped
    checks = {
        f"the {found.capabilities.api} API was chosen": found.capabilities.api == expected.api,
        f"{whole.billed} tokens were billed and {whole.engine} counted": not expected.exact
        or whole.billed == whole.engine,
        "no prompt token is on the bill": whole.prompts > 0,
        f"cancellation is {stopped.cancellation}": stopped.cancellation == expected.cancellation,
        "the engine went on": stopped.idle_after is not None or expected.cancellation == "failed",
        f"{found.lost} traces were lost": found.lost == 0 or not expected.continues,
    }
    return [fault for fault, is_right in checks.items() if not is_right]


def page(rows: Sequence[Row], missing: Sequence[str] = ()) -> str:
    """The page, in Markdown; `missing` servers have not been tried on the machine that wrote it."""
    lines = [
        "| server | mode | whole traces | closed streams | cancellation | killed and resumed |",
        "|---|---|---|---|---|---|",
        *(f"| {' | '.join(_cells(row))} |" for row in rows),
    ]
    if missing:
        lines += ["", f"Not tried on the machine that wrote this page: {'; '.join(missing)}."]
    return f"{_HEAD}\n" + "\n".join(lines) + "\n"


def _cells(row: Row) -> tuple[str, ...]:
    found = row.found
    resumed = f"{found.resumed} of {found.resumed + found.lost} traces"
    return (
        row.server,
        "completions, token ids" if found.capabilities.resumable else found.capabilities.api,
        _count(found.whole),
        f"{_count(found.stopped)}; {_idle(found.stopped)}",
        found.stopped.cancellation,
        resumed if found.lost else f"all {found.resumed} traces",
    )


def _count(counted: Whole | Stopped) -> str:
    source = counted.source.replace("_", " ")
    if counted.engine is None:
        return f"{counted.billed} ({source}); not counted by the server"
    same = counted.billed == counted.engine
    return f"{counted.billed}{' = ' if same else ', engine '}{counted.engine} ({source})"


def _idle(stopped: Stopped) -> str:
    if stopped.idle_after is None:
        return "the engine went on"
    return f"idle after {stopped.idle_after:.1f} s"
