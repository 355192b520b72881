"""What `auto` decides on: the share of the leader, what the next votes are worth, their price, and what follows."""

from textual.strip import Strip

from orchestrator.core.events import VoteWeighed
from orchestrator.core.policies.auto import EFFORT_PRICES
from orchestrator.report.view import RunView
from orchestrator.settings import AutoSettings
from tui.drawing.cells import Part, line, sanitize_line
from tui.panels.base import Frame, title

__all__ = ["decides", "draw_decision"]

_LABEL = 11
_ROOMY = 44  # from this width on there is room for longer texts


def decides(view: RunView) -> bool:
    """Whether the policy of the run says what it decides on."""
    return view.run is not None and isinstance(view.run.settings.policy, AutoSettings)


def draw_decision(frame: Frame) -> list[Strip]:
    """The latest decision, then earlier ones, newest first."""
    lines = [title(frame, "decision", aside=_effort(frame))]
    weighed, palette = frame.watch.view.weighed, frame.palette
    if weighed is None:
        ended = any(trace.ending for trace in frame.watch.view.traces.values())
        idle = "asks the running traces first" if ended else "waits for the first trace to end"
        return [*lines, line(frame.width, [(f" {idle}", palette.dim)])]
    lines += [_agreement(frame, weighed), *_worth_and_price(frame, weighed), _step(frame, weighed)]
    earlier = frame.watch.digest.decisions[-2::-1]
    room = frame.height - len(lines)
    return [*lines, *(_earlier(frame, each) for each in earlier[: max(0, room)])]


def _effort(frame: Frame) -> str:
    """The effort, and the price of a trace that comes from it."""
    run = frame.watch.view.run
    policy = run.settings.policy if run is not None else None
    if not isinstance(policy, AutoSettings):
        return ""
    if policy.trace_price is not None:
        return f"{_points(policy.trace_price)} a trace"
    text = f"{_points(EFFORT_PRICES[policy.effort])} a trace"
    return f"{policy.effort}: {text}" if frame.width >= _ROOMY else text


def _agreement(frame: Frame, weighed: VoteWeighed) -> Strip:
    palette = frame.palette
    if weighed.leader is None:
        return line(frame.width, [(" no answer leads yet", palette.dim)])
    parts: list[Part] = [
        (f" {'next trace':<{_LABEL}}", palette.dim),
        (f"{weighed.lead_share:>6.1%}", palette.strong),
        ("  would say ", palette.dim),
        (sanitize_line(weighed.leader, limit=30), palette.accent),
    ]
    return line(frame.width, parts)


def _worth_and_price(frame: Frame, weighed: VoteWeighed) -> list[Strip]:
    """Two bars on one scale, so that it can be seen which is longer."""
    palette = frame.palette
    if not weighed.traces:
        return []
    most = max(weighed.worth, weighed.price) or 1.0
    room = max(4, frame.width - _LABEL - 12)
    more = "1 more vote" if weighed.traces == 1 else f"{weighed.traces} more votes"
    label = max(_LABEL, len(more) + 2)
    room -= label - _LABEL
    pays = weighed.worth > weighed.price
    rows = (
        (more, weighed.worth, palette.good if pays else palette.dim),
        ("price", weighed.price, palette.dim if pays else palette.warn),
    )
    return [
        line(
            frame.width,
            [
                (f" {name:<{label}}", palette.dim),
                (f"{100 * value:>6.2f} ", palette.text),
                ("━" * round(room * value / most), style),
            ],
        )
        for name, value, style in rows
    ]


def _step(frame: Frame, weighed: VoteWeighed) -> Strip:
    """What follows, and why in a few words."""
    palette, over = frame.palette, frame.watch.view.vote is not None
    pays = weighed.worth > weighed.price
    why = {
        "wait": "waits: worth more than the price",
        "launch": "launches: worth more than the price",
        "stop": "stops: worth less than the price",
    }[weighed.action]
    if weighed.action != "stop" and not pays:
        why = "goes on: min_ballots is not reached"
    style = palette.good if weighed.action == "stop" or over else palette.accent
    return line(frame.width, [(" → ", style), (why, palette.text)])


def _earlier(frame: Frame, weighed: VoteWeighed) -> Strip:
    sign = ">" if weighed.worth > weighed.price else "≤"
    did = {"wait": "waited", "launch": "launched", "stop": "stopped"}[weighed.action]
    parts: list[Part] = [
        (f"{weighed.at:>7.1f} ", frame.palette.dim),
        (f"{did:<9}", frame.palette.dim),
        (f"{100 * weighed.worth:.2f} {sign} {100 * weighed.price:.2f}", frame.palette.dim),
    ]
    if weighed.leader is not None:
        leader = sanitize_line(weighed.leader, limit=16)
        parts.append((f"  {leader} {weighed.lead_share:.0%}", frame.palette.dim))
    return line(frame.width, parts)


def _points(fraction: float) -> str:
    """A fraction of the votes in points, hundredths of all votes."""
    points = f"{100 * fraction:g}"
    return f"{points} point" if points == "1" else f"{points} points"
