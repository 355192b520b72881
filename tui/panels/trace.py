"""The panels of the trace screen: summary, text and verdicts of one trace."""

import re
from collections.abc import Callable
from functools import lru_cache

from textual.strip import Strip

from orchestrator.report.display_state import GLYPHS, LABELS, display_state
from orchestrator.report.trace_view import TraceView
from orchestrator.terminal.event_text import describe_trace
from tui.drawing.cells import Part, bar, line, spread
from tui.drawing.text_flow import Row, TextFlow
from tui.panels.base import Frame, Panel, title
from tui.panels.header import clock

__all__ = ["TextPanel", "draw_summary", "draw_verdicts"]


def draw_summary(frame: Frame, number: int) -> list[Strip]:
    """The number, state and cost of the trace, and the reason for its state."""
    view, palette = frame.watch.view, frame.palette
    trace = view.traces.get(number)
    if trace is None:
        return []
    state = display_state(view, trace)
    style = palette.states[state]
    left: list[Part] = [
        (f" {GLYPHS[state]} ", style),
        (f"trace {number}", palette.strong),
        (f"  {LABELS[state]}", style),
        ("  pinned" if trace.pinned else "", palette.accent),
    ]
    right: list[Part] = [(f"{_costs(trace)} ", palette.dim)]
    return [
        spread(frame.width, left, right),
        line(frame.width, [("   ", palette.dim), (describe_trace(view, trace), palette.text)]),
    ]


def _costs(trace: TraceView) -> str:
    parts = [f"{trace.tokens:,} tokens"]
    if trace.cluster is not None:
        parts.append(f"cluster {trace.cluster}")
    if trace.retries:
        parts.append(f"{trace.retries} retries")
    if trace.started_at is not None and trace.ended_at is not None:
        parts.append(f"ended at {clock(trace.ended_at)}")
    return " · ".join(parts)


def draw_verdicts(frame: Frame, number: int) -> list[Strip]:
    """The traces that this one was compared with and the judge's p(identical), highest first."""
    palette, view = frame.palette, frame.watch.view
    verdicts = frame.watch.digest.verdicts.get(number, [])
    over = sum(view.tau is not None and verdict.p > view.tau for verdict in verdicts)
    aside = "" if view.tau is None or not verdicts else f"{over} over tau {view.tau:.2f}"
    head = title(frame, "verdicts", str(len(verdicts)) if verdicts else "", aside)
    if not verdicts:
        trace = view.traces.get(number)
        settled = trace is None or trace.ending is not None or trace.cluster is not None
        idle = "the judge was not asked about this trace" if settled else "no verdict yet"
        return [head, line(frame.width, [(f" {idle}", palette.dim)])]
    cell = 34
    columns = max(1, frame.width // cell)
    ranked = sorted(verdicts, key=lambda verdict: -verdict.p)
    rows = [ranked[start : start + columns] for start in range(0, len(ranked), columns)]
    lines = [head]
    for row in rows[: max(0, frame.height - 1)]:
        parts: list[Part] = []
        for verdict in row:
            member = view.traces[verdict.member]
            cluster = "" if member.cluster is None else f"in {member.cluster}"
            similar = view.tau is not None and verdict.p > view.tau
            parts += [
                (f" {verdict.member:>4} ", palette.text),
                (f"{cluster:<6}", palette.dim),
                (bar(verdict.p, 14), palette.accent if similar else palette.dim),
                (f" {verdict.p:.3f}  ", palette.text),
            ]
        lines.append(line(frame.width, parts))
    return lines


@lru_cache(maxsize=8)
def _reasoning_words(words: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(r"\b(?:" + "|".join(map(re.escape, words)) + r")\b", re.IGNORECASE)


class TextPanel(Panel):
    """A trace's text with reasoning words and checkpoint marked; it follows the end until scrolled."""

    def __init__(self, trace: Callable[[], int | None], name: str, *, id: str) -> None:  # noqa: A002
        super().__init__(self._draw_text, id=id)
        self._trace = trace
        self._title = name
        self._flow: TextFlow | None = None
        self._flow_trace: TraceView | None = None
        self.offset_from_top: int | None = None
        """The first line shown; None to follow the end."""

    def scroll_by(self, rows: int) -> None:
        """Scrolls by `rows` lines; at the end it follows again."""
        total = len(self._flow.rows) if self._flow is not None else 0
        last = max(0, total - self.size.height + 1)
        top = last if self.offset_from_top is None else self.offset_from_top
        top = max(0, top + rows)
        self.offset_from_top = None if top >= last else top

    def _draw_text(self, frame: Frame) -> list[Strip]:
        number = self._trace()
        trace = frame.watch.view.traces.get(number) if number is not None else None
        if trace is None:
            return [title(frame, self._title)]
        flow = self._flow_of(frame, trace)
        flow.feed(trace.text)
        room = max(0, frame.height - 1)
        last = max(0, len(flow.rows) - room)
        top = last if self.offset_from_top is None else min(last, self.offset_from_top)
        aside = f"{top + 1}–{min(len(flow.rows), top + room)} of {len(flow.rows)} lines"
        head = title(frame, self._title, str(trace.trace), aside if last else "")
        return [head, *(self._row(frame, trace, row) for row in flow.rows[top : top + room])]

    def _flow_of(self, frame: Frame, trace: TraceView) -> TextFlow:
        """The wrapped text; built again for another trace, another width, or a new checkpoint."""
        chars = trace.checkpoint.chars if trace.checkpoint is not None else None
        width = max(1, frame.width - 2)
        flow = self._flow
        if (
            flow is None
            or self._flow_trace is not trace
            or (flow.width, flow.checkpoint) != (width, chars)
        ):
            self._flow = flow = TextFlow(width, chars)
            self._flow_trace = trace
        return flow

    def _row(self, frame: Frame, trace: TraceView, row: Row) -> Strip:
        palette = frame.palette
        if row.mark and trace.checkpoint is not None:
            note = f"── checkpoint: {trace.checkpoint.words} reasoning words, {trace.checkpoint.tokens:,} tokens "
            return line(
                frame.width,
                [(" " + note.ljust(frame.width - 2, "─"), palette.states["checkpoint"])],
            )
        run = frame.watch.view.run
        words = run.settings.checkpoint.word_list if run else ()
        parts: list[Part] = [(" ", palette.text)]
        done = 0
        for match in _reasoning_words(words).finditer(row.text) if words else ():
            parts += [(row.text[done : match.start()], palette.text), (match.group(), palette.warn)]
            done = match.end()
        return line(frame.width, [*parts, (row.text[done:], palette.text)])
