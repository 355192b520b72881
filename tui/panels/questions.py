"""The questions of a run as a table: answer, correctness, traces, tokens, fraction saved, time."""

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip

from orchestrator.report.report import Report
from orchestrator.report.view import RunView
from tui.drawing.cells import Part, line, pad, sanitize_line, spread
from tui.drawing.theme import Palette
from tui.panels.base import Frame, Panel, title
from tui.panels.header import clock
from tui.sources.base import Entry, Source
from tui.state.stats import tally_of
from tui.state.watch import Watch

__all__ = ["QuestionTable", "draw_progress", "draw_table"]

_COLUMNS = (
    ("#".rjust(4), 5),
    ("id", 14),
    ("answer", 16),
    ("", 3),
    ("traces", 12),
    ("tokens".rjust(10), 11),
    ("saved".rjust(6), 7),
    ("time".rjust(8), 8),
)


def draw_progress(frame: Frame, entries: Sequence[Entry], planned: int) -> list[Strip]:
    """The number of questions done, running and answered correctly, and an estimate of the time left."""
    palette = frame.palette
    done = [entry.report for entry in entries if entry.report is not None]
    right = sum(report.correct is True for report in done)
    graded = sum(report.correct is not None for report in done)
    running = sum(entry.started and entry.report is None for entry in entries)
    left: list[Part] = [
        (f" {len(done)} of {planned} questions", palette.strong),
        (f"  {running} running" if running > 1 else "", palette.accent),
        (f"  {right} of {graded} right" if graded else "", palette.good),
    ]
    eta = _eta(done, planned, running)
    right_side: list[Part] = [(f"about {clock(eta)} left " if eta else "", palette.dim)]
    width = max(1, frame.width - 2)
    filled = round(width * len(done) / planned) if planned else 0
    progress = line(
        frame.width,
        [
            (" ", palette.text),
            ("━" * filled, palette.good),
            ("─" * (width - filled), palette.faint),
        ],
    )
    return [spread(frame.width, left, right_side), progress]


def _eta(done: list[Report], planned: int, running: int) -> float | None:
    """Seconds for the remaining questions, at the mean of those before, so many side by side as run now."""
    if not done or len(done) >= planned:
        return None
    mean = sum(report.seconds for report in done) / len(done)
    return mean * (planned - len(done)) / max(1, running)


def draw_table(
    frame: Frame, entries: list[Entry], *, cursor: int, top: int, focused: bool
) -> list[Strip]:
    """The title, the column names and the rows from `top` on."""
    palette = frame.palette
    names = [(pad(name, width) + " ", palette.dim) for name, width in _COLUMNS]
    lines = [
        title(frame, "questions", str(len(entries))),
        line(frame.width, [(" ", palette.dim), *names, ("question", palette.dim)]),
    ]
    for index, entry in enumerate(entries[top : top + max(0, frame.height - 2)], start=top):
        marker: Part = ("▸" if index == cursor else " ", palette.accent)
        row = line(frame.width, [marker, *_row(palette, index, entry)])
        lines.append(row.apply_style(palette.selected) if index == cursor and focused else row)
    return lines


def _row(palette: Palette, index: int, entry: Entry) -> list[Part]:
    cells = _reported(palette, entry.report) if entry.report else _running(palette, entry.watch)
    parts: list[Part] = [
        (pad(f"{index + 1:>4}", 5) + " ", palette.dim),
        (pad(sanitize_line(entry.name, limit=40), 14) + " ", palette.text),
    ]
    for (text, style), (_name, width) in zip(cells, _COLUMNS[2:], strict=True):
        parts.append((pad(text, width) + " ", style))
    return [*parts, (sanitize_line(entry.question), palette.dim)]


def _reported(palette: Palette, report: Report) -> list[Part]:
    mark = {True: ("✓", palette.good), False: ("✗", palette.bad), None: ("", palette.dim)}
    answer, saved, traces = report.answer, report.saved, report.traces
    return [
        (
            "no answer" if answer is None else sanitize_line(answer, limit=40),
            palette.strong if answer else palette.warn,
        ),
        mark[report.correct],
        (f"{traces.finished} ✓ {traces.pruned} ×", palette.text),
        (f"{report.ledger.reasoner.generated_tokens:>10,}", palette.text),
        (
            "–" if saved is None else f"{saved:>6.0%}",
            palette.good if saved and saved > 0 else palette.warn,
        ),
        (f"{clock(report.seconds):>8}", palette.dim),
    ]


def _running(palette: Palette, watch: Watch | None) -> list[Part]:
    view = watch.view if watch is not None else RunView()
    if view.run is None:
        return [("waiting", palette.dim), *[("", palette.dim)] * 5]
    counts = view.counts()
    leader = tally_of(view)  # the other numbers would cost milliseconds for each row
    return [
        (f"{sanitize_line(leader[0][0], limit=12)} ?" if leader else "…", palette.accent),
        ("›", palette.states["running"]),
        (f"{counts['running']} › {counts['finished']} ✓", palette.text),
        (f"{view.generated_tokens:>10,}", palette.text),
        ("", palette.dim),
        (f"{clock(view.elapsed):>8}", palette.dim),
    ]


class QuestionTable(Panel, can_focus=True):
    """The table with its cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "up", show=False),
        Binding("down,j", "move(1)", "down", show=False),
        Binding("pageup", "move(-20)", "page up", show=False),
        Binding("pagedown", "move(20)", "page down", show=False),
        Binding("home", "move(-1000000)", "first", show=False),
        Binding("end", "move(1000000)", "last", show=False),
        Binding("enter", "open", "open the question", key_display="Enter"),
    ]

    class Opened(Message):
        """The user opened a question."""

        def __init__(self, index: int) -> None:
            super().__init__()
            self.index = index

    def __init__(self, source: Source, *, id: str) -> None:  # noqa: A002  (Textual's own name)
        super().__init__(self._draw_table, id=id)
        self._source = source
        self.cursor = source.current
        self._follows = True  # the cursor follows the running question until the user moves it
        self._top = 0

    def _draw_table(self, frame: Frame) -> list[Strip]:
        rows = max(1, frame.height - 2)
        if self._follows:
            self.cursor = self._source.current
        self._top = max(self.cursor - rows + 1, min(self._top, self.cursor))
        return draw_table(
            frame, self._source.entries, cursor=self.cursor, top=self._top, focused=self.has_focus
        )

    def action_move(self, rows: int) -> None:
        """Moves the cursor."""
        self._follows = False
        self.cursor = max(0, min(len(self._source.entries) - 1, self.cursor + rows))

    def action_open(self) -> None:
        """Opens the question under the cursor."""
        if not self._source.entries:
            return
        if self._source.entries[self.cursor].started:
            self.post_message(self.Opened(self.cursor))
        else:
            self.notify("This question has not started yet.", severity="warning")

    def on_click(self, event: events.Click) -> None:
        """A click moves the cursor, a second one opens."""
        index = self._top + event.y - 2
        if 0 <= index < len(self._source.entries) and event.y >= 2:
            self._follows = False
            self.cursor = index
            if event.chain > 1:
                self.action_open()
