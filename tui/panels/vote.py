"""The vote: answers with their vote counts, and the probability that the leader stays ahead."""

from textual.strip import Strip

from orchestrator.report.alike import alike_sentence, alike_traces
from orchestrator.report.report import undecided_sentence
from orchestrator.report.unreadable import unreadable_of
from orchestrator.report.view import RunView
from tui.drawing.cells import Part, bar, line, pad, sanitize_line
from tui.drawing.text_flow import wrap
from tui.panels.base import Frame, title

__all__ = ["draw_vote", "stays", "vote_notices"]


def draw_vote(frame: Frame) -> list[Strip]:
    """One line for each answer, the leader first; answers that do not fit are left out."""
    stats, view = frame.watch.stats, frame.watch.view
    total = sum(count for _answer, count in stats.tally)
    lines = [title(frame, "vote", _note(view, total), stays(stats.posterior))]
    width = min(24, max(6, frame.width // 3))
    notices = vote_notices(frame)
    room = max(min(1, frame.height - 1), frame.height - 1 - len(notices))
    for rank, (answer, count) in enumerate(stats.tally[:room]):
        lines.append(_row(frame, rank, answer, count, total, width))
    if not stats.tally:
        empty = " no trace has answered" + ("" if view.vote else " yet")
        lines.append(line(frame.width, [(empty, frame.palette.dim)]))
    return [*lines, *notices]


def vote_notices(frame: Frame) -> list[Strip]:
    """What limits the quality of the vote, wrapped to the width."""
    view = frame.watch.view
    told = [sanitize_line(sentence) for sentence in unreadable_of(view).sentences()]
    if alike := alike_traces(view):
        told.append(alike_sentence(alike))
    if view.undecided:
        told.append(undecided_sentence(view.undecided))
    return [
        line(frame.width, [(f" {row}", frame.palette.warn)])
        for sentence in told
        for row in wrap(sentence, max(1, frame.width - 2))
    ]


def _row(frame: Frame, rank: int, answer: str, count: int, total: int, width: int) -> Strip:
    palette = frame.palette
    style = (
        (palette.good if frame.watch.view.vote else palette.accent) if rank == 0 else palette.dim
    )
    parts: list[Part] = [
        (
            " " + pad(sanitize_line(answer, limit=width), width),
            palette.strong if rank == 0 else palette.text,
        ),
        (f" {count:>4} ", palette.text),
        (bar(count / total, max(4, frame.width - width - 14)), style),
        (f" {count / total:>4.0%}", palette.dim),
    ]
    return line(frame.width, parts)


def _note(view: RunView, total: int) -> str:
    if view.vote is None:
        return f"{total} so far"
    return f"{total} votes" if total != 1 else "1 vote"


def stays(posterior: float | None) -> str:
    """How probable it is that the leader stays ahead; empty where it is not known."""
    if posterior is None:
        return ""
    return "leader stays >99.9%" if posterior > 0.999 else f"leader stays {posterior:.1%}"
