"""The bill: tokens generated, the cost of cons@N, the fraction saved, and the judge's cost."""

from rich.style import Style
from textual.strip import Strip

from orchestrator.report.view import RunView
from orchestrator.terminal.numbers import format_rate
from tui.drawing.cells import Part, line, sparkline
from tui.drawing.theme import Palette
from tui.panels.base import Frame, title
from tui.state.stats import RunStats, SavedFraction

__all__ = ["draw_bill"]

_LABEL = 10
_ROOMY = 46  # from this width on there is room for longer texts
_TICKS_SHOWN = 24


def draw_bill(frame: Frame) -> list[Strip]:
    """The rows of the bill, the most important first; rows that do not fit are left out."""
    stats = frame.watch.stats
    rows = [
        ("generated", _generated(frame)),
        (f"cons@{stats.cost.planned}", _projected(frame, stats)),
        ("saved", _saved(frame, stats.saved)),
    ]
    if frame.watch.view.has_judge:
        rows.append(("judge", _judge(frame, stats)))
    rows += [("net", _net(frame, stats)), ("same cost", _equal(frame, stats))]
    if frame.watch.view.probes.probes:
        rows.append(("probes", _probes(frame)))
    if stats.money is not None:
        spent, whole = stats.money
        rows.append(
            (
                "money",
                [(f"{spent:,.4f}", frame.palette.text), (f" of {whole:,.4f}", frame.palette.dim)],
            )
        )
    lines = [title(frame, "bill", aside="tokens")]
    for label, parts in rows[: max(0, frame.height - 1)]:
        lines.append(line(frame.width, [(f" {label:<{_LABEL}}", frame.palette.dim), *parts]))
    return lines


def _generated(frame: Frame) -> list[Part]:
    palette, view, rate = frame.palette, frame.watch.view, frame.watch.rate
    parts: list[Part] = [(f"{view.generated_tokens:>9,}", palette.strong)]
    if rate is not None and view.finished is None:
        parts.append((f"  {format_rate(rate)}/s ", palette.dim))
    else:
        parts.append(("  ", palette.dim))
    room = frame.width - _LABEL - 1 - sum(len(text) for text, _style in parts) - 1
    values = _per_cell(view, max(0, min(_TICKS_SHOWN, room)))
    return [*parts, (sparkline(values, max(values, default=0.0)), palette.accent)]


def _per_cell(view: RunView, cells: int) -> list[float]:
    """The run's token rate from the start until now, averaged into at most `cells` values."""
    ticks = view.tokens_per_tick
    if not ticks or not cells:
        return []
    size = -(-len(ticks) // cells)
    groups = [ticks[start : start + size] for start in range(0, len(ticks), size)]
    return [sum(group) / len(group) for group in groups]


def _projected(frame: Frame, stats: RunStats) -> list[Part]:
    cost, palette = stats.cost, frame.palette
    if cost.tokens is None:
        return [(f"{'–':>9}", palette.text), ("  not known yet", palette.dim)]
    high = "?" if cost.high is None else f"{cost.high:,.0f}"
    between = "  exact" if cost.method == "observed" else f"  {cost.low:,.0f} to {high}"
    return [(f"{cost.tokens:>9,.0f}", palette.text), (between, palette.dim)]


def _saved(frame: Frame, saved: SavedFraction | None) -> list[Part]:
    palette = frame.palette
    if saved is None:
        return [(f"{'–':>9}", palette.text)]
    parts: list[Part] = [(f"{_percent(saved.estimate):>9}", _tone(palette, saved.estimate))]
    if saved.low is not None and saved.high is not None and saved.low != saved.high:
        low, high = sorted((saved.low, saved.high))
        parts.append((f"  {low:.0%} to {high:.0%}", palette.dim))
    return parts


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _percent(fraction: float) -> str:
    """Without the sign of a value that is 0 when it is rounded."""
    return f"{round(fraction, 2) + 0.0:.0%}"


def _tone(palette: Palette, fraction: float) -> Style:
    rounded = round(fraction, 2)
    return palette.good if rounded > 0 else palette.warn if rounded < 0 else palette.text


def _judge(frame: Frame, stats: RunStats) -> list[Part]:
    judge, palette = frame.watch.view.judge, frame.palette
    if not judge.calls and not judge.failures:
        return [(f"{'–':>9}", palette.text)]
    calls = f" in {_counted(judge.calls, 'call')}" if frame.width >= _ROOMY else ""
    pairs = f"  {_counted(judge.pairs, 'pair')}{calls}"
    return [(f"{stats.judge_tokens:>9,.0f}", palette.text), (pairs, palette.dim)]


def _net(frame: Frame, stats: RunStats) -> list[Part]:
    palette = frame.palette
    if stats.net is None:
        return [(f"{'–':>9}", palette.text)]
    with_what = "with read tokens"
    if frame.watch.view.has_judge:
        with_what = "with the judge" + ("'s bill" if frame.width >= _ROOMY else "")
    return [
        (f"{_percent(stats.net):>9}", _tone(palette, stats.net)),
        (f"  {with_what}", palette.dim),
    ]


def _probes(frame: Frame) -> list[Part]:
    """The tokens generated for probes, which are part of the generated ones."""
    probes, palette = frame.watch.view.probes, frame.palette
    return [
        (f"{probes.tokens:>9,}", palette.text),
        (f"  in {_counted(probes.probes, 'probe')}, among generated", palette.dim),
    ]


def _equal(frame: Frame, stats: RunStats) -> list[Part]:
    palette = frame.palette
    if stats.equal_cost_votes is None:
        return [(f"{'–':>9}", palette.text)]
    return [(f"{f'cons@{stats.equal_cost_votes:.1f}':>9}", palette.text)]
