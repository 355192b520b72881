"""The head of the live screen: question, time, models and policy; and the bar of states with its legend."""

from rich.cells import cell_len
from textual.strip import Strip

from orchestrator.capabilities import JudgeCapabilities, ServerCapabilities
from orchestrator.report.display_state import GLYPHS, LABELS, ORDER, DisplayState, count_states
from orchestrator.report.view import RunView
from orchestrator.terminal.event_text import server_name
from tui.drawing.cells import Part, line, sanitize_line, spread
from tui.drawing.theme import Palette
from tui.panels.base import Frame
from tui.sources.base import Start

__all__ = ["draw_header", "draw_states"]


def draw_header(frame: Frame, notice: str = "", start: Start | None = None) -> list[Strip]:
    """Question and time; below them models, endpoints and policy (before the run `notice`), and the leading answer."""
    view, palette, notice = frame.watch.view, frame.palette, sanitize_line(notice)
    asked = start.question if start is not None else view.question
    question: list[Part] = [(" ", palette.text), (sanitize_line(asked), palette.strong)]
    outcome = _outcome(frame, notice)
    setup = _setup(view, notice, frame.width - 2 - sum(cell_len(text) for text, _style in outcome))
    return [
        spread(frame.width, question, [*_time(frame, start), (" ", palette.text)]),
        spread(frame.width, [(f" {setup}", palette.dim)], outcome),
    ]


def _time(frame: Frame, start: Start | None) -> list[Part]:
    view, palette = frame.watch.view, frame.palette
    seconds = start.seconds if start is not None else view.elapsed
    parts: list[Part] = [(clock(seconds), palette.strong)]
    eta = frame.watch.stats.eta
    if eta is not None and view.vote is None:
        parts.append((f"  about {clock(eta)} left", palette.dim))
    return parts


def clock(seconds: float) -> str:
    """Seconds as 5.9 s, 2:05 or 1:02:05."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _setup(view: RunView, notice: str, room: int) -> str:
    """Models with their servers, and the policy; without the servers where they do not fit."""
    if view.run is None:
        return notice or "waiting for the servers"
    found = view.run.capabilities
    most = "N=" if len(view.launched) == view.planned else "up to "
    policy = [f"{view.run.settings.policy.name} {most}{view.planned}"]
    if view.tau is not None:
        policy.append(f"tau {view.tau:.2f}")
    more = len(found.replicas) - 1
    for model in (_placed, _named):
        models = [model(found.reasoner)]
        if more > 0 and model is _placed:
            models[0] += f" and {more} more"
        if found.judge is not None:
            models.append(f"judge {model(found.judge)}")
        text = " · ".join([*models, *policy])
        if cell_len(text) <= room:
            break
    return text


def _placed(found: ServerCapabilities | JudgeCapabilities) -> str:
    return f"{_named(found)} @ {sanitize_line(server_name(found.endpoint), limit=40)}"


def _named(found: ServerCapabilities | JudgeCapabilities) -> str:
    return sanitize_line(found.model, limit=40)


def _outcome(frame: Frame, notice: str) -> list[Part]:
    view, palette = frame.watch.view, frame.palette
    if view.vote is None:
        state = "stopping " if view.interrupted else "launching paused " if view.held else ""
        return [(state, palette.warn)] if state else _leader(frame)
    leave: list[Part] = [(f"{notice}  ", palette.dim)] if notice else []
    if view.vote.answer is None:
        return [*leave, ("no answer ", palette.warn)]
    parts: list[Part] = [
        *leave,
        ("answer ", palette.dim),
        (sanitize_line(view.vote.answer, limit=40), palette.good),
    ]
    mark = _correctness(view)
    return [*parts, (f"{mark} ", palette.strong)]


def _leader(frame: Frame) -> list[Part]:
    """The leading answer so far with its fraction of the votes, those included that are only believed."""
    palette, groups = frame.palette, frame.watch.stats.answers.groups
    if not groups or not groups[0].votes:
        return []
    answer = groups[0].answer
    fraction = groups[0].votes / sum(group.votes for group in groups)
    return [
        ("so far ", palette.dim),
        (sanitize_line(answer, limit=40), palette.accent),
        (f" {fraction:.0%} ", palette.dim),
    ]


def _correctness(view: RunView) -> str:
    """A mark for a right or wrong answer, where the gold answer is known."""
    if view.run is None or view.run.gold is None or view.finished is None:
        return ""
    return " ✓" if view.answer in view.finished.correct_answers else " ✗"


def draw_states(frame: Frame) -> list[Strip]:
    """A bar of all traces by state; below it the legend with counts."""
    counts = count_states(frame.watch.view)
    return [_bar(frame, counts), _legend(frame, counts)]


def _bar(frame: Frame, counts: dict[DisplayState, int]) -> Strip:
    palette, width = frame.palette, frame.width - 2
    total = sum(counts.values())
    parts: list[Part] = [(" ", palette.text)]
    seen, drawn = 0, 0
    for state in ORDER:
        seen += counts[state]
        end = round(width * seen / total) if total else 0
        cell = "━" if state not in ("pruned", "stopped", "queued", "unstarted") else "╌"
        parts.append((cell * (end - drawn), palette.states[state]))
        drawn = end
    return line(frame.width, parts)


def _legend(frame: Frame, counts: dict[DisplayState, int]) -> Strip:
    """Glyph, count and name of every state that occurs, in the longest of three forms that fits; reopened streams."""
    retries = sum(trace.retries for trace in frame.watch.view.traces.values())
    reopened: list[Part] = [(f"streams reopened {retries} ", frame.palette.warn)] if retries else []
    room = frame.width - sum(cell_len(text) + 1 for text, _style in reopened)
    for gap, named in (("  ", True), (" ", True), ("  ", False)):
        parts = _legend_parts(frame.palette, counts, gap, named=named)
        if sum(cell_len(text) for text, _style in parts) <= room:
            break
    return spread(frame.width, parts, reopened)


def _legend_parts(
    palette: Palette, counts: dict[DisplayState, int], gap: str, *, named: bool
) -> list[Part]:
    parts: list[Part] = []
    for state in ORDER:
        if counts[state]:
            parts += [
                (f"{gap if parts else ' '}{GLYPHS[state]} ", palette.states[state]),
                (f"{counts[state]}", palette.text),
                (f" {LABELS[state]}" if named else "", palette.dim),
            ]
    return parts
