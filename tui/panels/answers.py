"""The answers of a policy that makes no clusters: their votes, those only believed included, and the traces behind them."""

from collections.abc import Iterable

from rich.style import Style
from textual.strip import Strip

from orchestrator.report.answer_groups import AnswerGroup, AnswerGroups
from orchestrator.report.display_state import GLYPHS, display_state
from tui.drawing.cells import Part, line, pad, sanitize_line
from tui.panels.base import Frame, title
from tui.panels.vote import stays, vote_notices

__all__ = ["draw_answers"]

_INDENT = "   "
_FINISHED, _LIKELY = "━", "╌"


def draw_answers(frame: Frame) -> list[Strip]:
    """A bar for each answer, solid for finished votes and dashed for likely ones, and its traces where there is room."""
    answers = frame.watch.stats.answers
    count = len(answers.groups)
    aside = stays(answers.leader_stays)
    lines = [title(frame, "answers", str(count) if count else "", aside)]
    notices, others = vote_notices(frame), _others(frame, answers)
    room = max(1, frame.height - 1 - len(notices) - len(others))
    if not count:
        over = frame.watch.view.vote is not None
        empty = " no trace has answered" + ("" if over else " yet")
        return [*lines, line(frame.width, [(empty, frame.palette.dim)]), *others, *notices]
    shown = answers.groups[:room]
    with_traces = max(0, min(count, room - count))
    total = _total(answers)
    for rank, group in enumerate(shown):
        lines.append(_bar(frame, rank, group, total))
        if rank < with_traces:
            lines.append(_traces(frame, group))
    return [*lines, *others, *notices]


def _total(answers: AnswerGroups) -> float:
    """The votes that a full bar stands for: all, and those that silent traces may still give."""
    return sum(group.votes for group in answers.groups) + len(answers.silent) or 1.0


def _bar(frame: Frame, rank: int, group: AnswerGroup, total: float) -> Strip:
    palette, over = frame.palette, frame.watch.view.vote is not None
    name = min(24, max(6, frame.width // 3))
    width = max(4, frame.width - name - 14)
    style = (palette.good if over else palette.accent) if rank == 0 else palette.dim
    finished = len(group.finished)
    solid = round(width * finished / total)
    solid = max(1, solid) if finished else solid
    dashed = max(0, round(width * group.votes / total) - solid)
    votes = f"{finished}"
    if group.expected:
        votes += f" + {group.expected:.1f}"
    parts: list[Part] = [
        (
            " " + pad(sanitize_line(group.answer, limit=name), name),
            palette.strong if rank == 0 else palette.text,
        ),
        (f" {votes:>9} ", palette.text),
        (_FINISHED * solid, style),
        (_LIKELY * min(dashed, width - solid), style),
    ]
    return line(frame.width, parts)


def _traces(frame: Frame, group: AnswerGroup) -> Strip:
    """The traces of an answer: finished ones by number, others with the probability that they would give it."""
    parts: list[Part] = [(_INDENT, frame.palette.dim), *_numbers(frame, group.finished)]
    for trace, probability in group.likely:
        parts += _numbers(frame, [trace])
        said = "says so" if probability is None else f"{probability:.0%}"
        parts.append((f" {said} ", frame.palette.dim))
    return line(frame.width, parts)


def _numbers(frame: Frame, traces: Iterable[int]) -> list[Part]:
    """Traces of one state share a glyph."""
    parts: list[Part] = []
    before: tuple[str, Style] | None = None
    for number in traces:
        state = display_state(frame.watch.view, frame.watch.view.traces[number])
        mark = (GLYPHS[state], frame.palette.states[state])
        if mark != before:
            parts.append((f" {mark[0]}", mark[1]))
        parts.append((f" {number}", frame.palette.text))
        before = mark
    return parts


def _others(frame: Frame, answers: AnswerGroups) -> list[Strip]:
    """The traces that belong to no answer."""
    rows = (("nothing known of", answers.silent), ("without an answer", answers.blank))
    return [
        line(frame.width, [(f" {name}", frame.palette.dim), *_numbers(frame, traces)])
        for name, traces in rows
        if traces
    ]
