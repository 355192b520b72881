"""The report and the summary as a compact panel for stderr.

Text from a model goes through `sanitize` and into a `Text`, so it can neither control the terminal nor
be read as markup. Rich is imported only when something is shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from io import StringIO
from typing import TYPE_CHECKING

import msgspec

from orchestrator.report.ledger import CounterfactualBill, JudgeBill, ReasonerBill
from orchestrator.report.pricing import Prices
from orchestrator.report.report import (
    ClusterLine,
    ReplicaLine,
    Report,
    TraceCounts,
    VoteLine,
    notices,
    undecided_sentence,
)
from orchestrator.report.summary import (
    CounterfactualSums,
    JudgeSums,
    ReasonerSums,
    Summary,
    SummaryLine,
)
from orchestrator.terminal.numbers import format_rate
from orchestrator.terminal.safe_stream import Trusted
from orchestrator.terminal.sanitize import sanitize

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

__all__ = ["render_report", "render_summary"]

_ANSWER_CHARACTERS = 60
_CLUSTERS_SHOWN = 8
_VOTES_SHOWN = 5
_BAR_CELLS = 24
_METHODS = {
    "observed": "exact: all traces finished",
    "kaplan-meier": "Kaplan-Meier",
    "none": "no trace finished: a lower bound",
}

Row = tuple[str, "Text"]


def render_report(report: Report, console: Console | None = None) -> Trusted:
    """One question's report as text for `console`; the default has 80 columns and no colour."""
    return _panel(_title(report), _report_rows(report), console)


def render_summary(summary: SummaryLine, console: Console | None = None) -> Trusted:
    """The summary of several questions as text."""
    inner = summary.summary
    return _panel(f"{inner.questions} questions", _summary_rows(inner), console)


def _panel(title: str, rows: Iterable[Row], console: Console | None) -> Trusted:
    from rich.box import ROUNDED
    from rich.console import Console
    from rich.panel import Panel
    from rich.text import Text

    if console is None:
        console = Console(file=StringIO(), width=80, color_system=None, force_terminal=False)
    panel = Panel(_grid(rows), title=Text(title), title_align="left", box=ROUNDED, expand=False)
    with console.capture() as capture:
        console.print(panel)
    return Trusted(capture.get())


def _grid(rows: Iterable[Row]) -> Table:
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for label, value in rows:
        grid.add_row(Text(label, style="dim"), value)
    return grid


def _title(report: Report) -> str:
    return f"question {sanitize(report.question_id, limit=40)} · {report.policy}"


def _report_rows(report: Report) -> Iterable[Row]:
    ledger = report.ledger
    yield "answer", _answer(report)
    yield "votes", _votes(report.votes)
    yield "traces", _text(_traces(report.traces))
    yield from _clusters(report.clusters)
    for notice in notices(report):
        yield "notice", _text(sanitize(notice), "yellow")
    yield "tokens", _text(_tokens(ledger.reasoner))
    if len(report.replicas) > 1:
        yield from _replicas(report.replicas)
    yield "judge", _text(_judge(ledger.judge))
    if ledger.judge.pruning_off_since is not None:
        off = f"off from t={ledger.judge.pruning_off_since:.1f} s: the judge gave no verdicts"
        yield "pruning", _text(off, "yellow")
    yield "without", _text(_without(ledger.counterfactual))
    yield "saved", _saved(report)
    if ledger.prices is not None and (ledger.judge.weighed_tokens or ledger.reasoner.weighed_reads):
        yield "prices", _text(_prices(ledger.prices))
    yield "time", _text(f"{report.seconds:.1f} s" + _interrupted(report.interrupted))
    if report.run_dir is not None:
        yield "run", _text(sanitize(report.run_dir))


def _summary_rows(summary: Summary) -> Iterable[Row]:
    ledger = summary.ledger
    cost = ledger.counterfactual
    yield "answered", _text(f"{summary.answered} of {summary.questions}")
    if summary.graded:
        yield "accuracy", _text(_accuracy(summary), "bold")
    yield "traces", _text(_traces(summary.traces))
    yield "tokens", _text(_tokens(ledger.reasoner))
    yield "judge", _text(_judge(ledger.judge))
    yield "without", _text(_range(cost) + f" · {cost.questions} questions")
    yield "saved", _saved(summary)
    if summary.traces.unreadable:
        unread = f"No answer could be read from {summary.traces.unreadable:,} of {summary.traces.finished:,} finished traces."
        yield "notice", _text(unread, "yellow")
    if summary.traces.alike:
        same = f"{summary.traces.alike:,} of {summary.traces.started:,} traces have the same text as all others of their question."
        yield "notice", _text(same, "yellow")
    if summary.undecided_comparisons:
        yield "notice", _text(undecided_sentence(summary.undecided_comparisons), "yellow")
    off = f" · {summary.interrupted} interrupted" if summary.interrupted else ""
    wall = "" if summary.wall_seconds is None else f"{summary.wall_seconds:.1f} s · "
    yield "time", _text(f"{wall}{summary.seconds:.1f} s, all questions added up{off}")


def _text(value: str, style: str = "") -> Text:
    from rich.text import Text

    return Text(sanitize(value), style=style)


def _answer(report: Report) -> Text:
    if report.answer is None:
        text = _text("none: too few votes", "yellow")
    else:
        text = _text(sanitize(report.answer, limit=_ANSWER_CHARACTERS), "bold")
    if report.correct is not None:
        text.append("  ")
        text.append(*(("✓ correct", "green") if report.correct else ("✗ wrong", "red")))
    return text


def _votes(votes: Sequence[VoteLine]) -> Text:
    """The answers with their vote counts, and with their weights where a vote does not weigh 1."""
    weighted = any(vote.weight != vote.ballots for vote in votes)
    parts = [
        f"{sanitize(vote.answer, limit=_ANSWER_CHARACTERS)} ×{vote.ballots}"
        + (f" (weight {vote.weight:.1f})" if weighted else "")
        for vote in votes[:_VOTES_SHOWN]
    ]
    if len(votes) > _VOTES_SHOWN:
        parts.append(f"and {len(votes) - _VOTES_SHOWN} more")
    return _text(" · ".join(parts) or "none")


def _traces(traces: TraceCounts) -> str:
    """The number of traces that started, and their fates; rare fates only where there are some."""
    fates = [f"{traces.finished} finished", f"{traces.pruned} pruned"]
    rare = (("stopped", traces.stopped), ("failed", traces.failed))
    fates += [f"{number} {fate}" for fate, number in rare if number]
    return f"{traces.started} of {traces.planned} started: " + " · ".join(fates)


def _clusters(clusters: Sequence[ClusterLine]) -> Iterable[Row]:
    """One row for each of the largest clusters: a bar, its size, and the answers of its members."""
    by_size = sorted(clusters, key=lambda cluster: (-cluster.size, cluster.id))
    for rank, cluster in enumerate(by_size[:_CLUSTERS_SHOWN]):
        cells = max(1, round(_BAR_CELLS * cluster.size / by_size[0].size))
        text = _text("█" * cells, "cyan")
        text.append(f" {cluster.size}", "bold")
        text.append(f"  {_answers(cluster.answers)}")
        yield ("clusters" if rank == 0 else "", text)
    rest = by_size[_CLUSTERS_SHOWN:]
    if rest:
        yield "", _text(f"and {len(rest)} more with {sum(c.size for c in rest)} traces", "dim")


def _answers(answers: Mapping[str, int]) -> str:
    shown = [f"{sanitize(answer, limit=20)} ×{n}" for answer, n in list(answers.items())[:3]]
    return ", ".join(shown) + (" …" if len(answers) > len(shown) else "")


def _tokens(reasoner: ReasonerBill | ReasonerSums) -> str:
    fates = [f"{fate} {n:,}" for fate, n in msgspec.structs.asdict(reasoner.by_fate).items() if n]
    text = f"{reasoner.generated_tokens:,} generated"
    if fates:
        text += f" ({' · '.join(fates)})"
    if reasoner.overshoot_tokens:
        text += f", {reasoner.overshoot_tokens:,} of them past the checkpoint"
    text += f"; prompts {reasoner.prompt_tokens:,}, {reasoner.cached_prompt_tokens:,} cached"
    if reasoner.weighed_reads:
        text += f"; what probes and continued traces read is worth {reasoner.weighed_reads:,.0f}"
    if reasoner.moved_traces:
        text += f"; traces moved: {reasoner.moved_traces} ({reasoner.reread_tokens:,} tokens read again)"
    if isinstance(reasoner, ReasonerBill) and reasoner.source == "chunks":
        part = "" if not reasoner.by_source.server_usage else f"{reasoner.by_source.chunks:,} "
        text += f"; {part}counted by stream chunks, not exact"
    if isinstance(reasoner, ReasonerBill) and reasoner.cancellation == "failed":
        text += "; closed streams went on in the engine, which is not in this bill"
    return text


def _replicas(replicas: Sequence[ReplicaLine]) -> Iterable[Row]:
    """One row for each of several servers."""
    for number, replica in enumerate(replicas):
        pace = replica.tokens_per_second
        text = f"{replica.endpoint}: traces {replica.traces}, tokens {replica.tokens:,}"
        text += "" if pace is None else f", {format_rate(pace)} tok/s"
        text += f", faults {replica.faults}" if replica.faults else ""
        out = f", out for {replica.seconds_out:.1f} s" if replica.seconds_out else ""
        yield "servers" if number == 0 else "", _text(text + out, "yellow" if out else "")


def _judge(judge: JudgeBill | JudgeSums) -> str:
    if not judge.calls and not judge.failures:
        return "not asked"
    text = (
        f"{judge.calls:,} calls, {judge.pairs:,} pairs, "
        f"{judge.prompt_tokens + judge.completion_tokens:,} tokens "
        f"({judge.cached_prompt_tokens:,} cached), {judge.seconds:.1f} s; "
        f"worth {judge.weighed_tokens:,.0f} reasoner tokens"
    )
    return text + (f"; {judge.failures} failed" if judge.failures else "")


def _without(cost: CounterfactualBill) -> str:
    return f"{cost.policy} ≈ {_range(cost)} ({_METHODS[cost.method]})"


def _range(cost: CounterfactualBill | CounterfactualSums) -> str:
    """The counterfactual's tokens with their interval, or the bound that is known."""
    if cost.generated_tokens is None:
        return "unknown" if cost.low is None else f"at least {cost.low:,} tokens"
    text = f"{cost.generated_tokens:,} tokens"
    if cost.low == cost.high:
        return text
    high = "?" if cost.high is None else f"{cost.high:,}"
    return f"{text}, 95 %: {cost.low:,} to {high}"


def _saved(result: Report | Summary) -> Text:
    if result.saved is None or result.net_saved is None:
        failed = isinstance(result, Report) and result.ledger.reasoner.cancellation == "failed"
        why = "closing a stream does not stop it" if failed else "no trace finished"
        return _text(f"unknown: {why}")
    text = _text(f"{result.net_saved:.1%} net", "bold green" if result.net_saved > 0 else "bold")
    text.append(f" · {result.saved:.1%} in generated tokens", "")
    votes = result.ledger.equal_cost_votes
    return (
        text
        if votes is None
        else text.append(f" · a plain vote of {votes:.1f} traces costs the same")
    )


def _prices(prices: Prices) -> str:
    """By what read tokens and the judge's were weighed, and where that comes from."""
    whose = (
        "the defaults, for GPUs; deepprune-doctor measures yours"
        if prices.source == "defaults"
        else "from the settings"
    )
    return (
        f"a written token 1, a read one {prices.prompt_token:g}, the judge's "
        f"{prices.judge_token:g} and {prices.judge_prompt_token:g} ({whose})"
    )


def _accuracy(summary: Summary) -> str:
    return (
        f"{summary.accuracy:.1%} ({summary.correct} of {summary.graded}), "
        f"95 %: {summary.accuracy_low:.1%} to {summary.accuracy_high:.1%}"
    )


def _interrupted(interrupted: bool) -> str:
    return ", interrupted" if interrupted else ""
