"""The clusters by size: representative, answers of finished members, and the similarity of the last join."""

from textual.strip import Strip

from orchestrator.report.display_state import GLYPHS
from orchestrator.report.trace_view import ClusterView
from orchestrator.report.view import RunView
from tui.drawing.cells import Part, bar, line, sanitize_line, spread
from tui.panels.base import Frame, title
from tui.panels.quote import quote

__all__ = ["draw_clusters"]

_QUOTED = 3  # lines of a representative at most


def draw_clusters(frame: Frame) -> list[Strip]:
    """A line for each cluster, with the representative's last lines under it where there is room."""
    view = frame.watch.view
    ranked = sorted(view.clusters.values(), key=lambda each: (-len(each.members), each.cluster))
    room = max(0, frame.height - 1)
    hidden = len(ranked) - room
    aside = f"{hidden + 1} more" if hidden > 0 else ""
    lines = [title(frame, "clusters", str(len(ranked)) if ranked else "", aside)]
    if not ranked:
        return [*lines, line(frame.width, [(f" {_nothing(view)}", frame.palette.dim)])]
    each, extra = divmod(max(0, room - len(ranked)), len(ranked))  # larger clusters first
    for rank, cluster in enumerate(ranked[: room - 1 if hidden > 0 else room]):
        lines.append(_row(frame, cluster, len(ranked[0].members)))
        representative = view.traces[cluster.representative]
        lines += quote(frame, representative, min(_QUOTED, each + (rank < extra)))
    return lines


def _nothing(view: RunView) -> str:
    return (
        "no trace has reached its checkpoint yet"
        if view.tau is not None
        else "this policy does not cluster"
    )


def _row(frame: Frame, cluster: ClusterView, largest: int) -> Strip:
    palette, size = frame.palette, len(cluster.members)
    name = f" {cluster.cluster:>2} "
    representative = f"{GLYPHS['representative']}{cluster.representative:<4}"
    width = max(6, min(28, frame.width // 4))
    left: list[Part] = [
        (name, palette.text),
        (representative, palette.states["representative"]),
        (f"{size:>4} ", palette.strong),
        (bar(size / largest, width), palette.accent if size == largest else palette.dim),
        (" " + _answers(cluster), palette.text),
    ]
    similarity = frame.watch.view.traces[cluster.members[-1]].similarity
    right: list[Part] = [] if similarity is None else [(f"{similarity:.2f} ", palette.dim)]
    return spread(frame.width, left, right)


def _answers(cluster: ClusterView) -> str:
    return "  ".join(
        f"{sanitize_line(answer, limit=24)} ×{count}"
        for answer, count in cluster.answers.most_common(4)
    )
