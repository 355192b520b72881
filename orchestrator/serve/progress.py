"""One line that tells how the traces of a question stand."""

from collections import Counter

from orchestrator.report.view import RunView
from orchestrator.terminal.sanitize import sanitize

__all__ = ["progress_line"]

_SHOWN_ANSWERS = 3
_ANSWER_CHARACTERS = 40


def progress_line(view: RunView) -> str:
    """Traces, tokens and the answers so far."""
    counts = view.counts()
    live = counts["running"] + counts["checkpoint"] + counts["paused"]
    parts = [f"{live} traces running, {counts['finished']} finished"]
    if cut := counts["pruned"] + counts["stopped"]:
        parts.append(f"{cut} stopped")
    if counts["failed"]:
        parts.append(f"{counts['failed']} failed")
    line = f"{', '.join(parts)}; {view.generated_tokens:,} tokens"
    answers = Counter(trace.answer for trace in view.traces.values() if trace.answer is not None)
    if answers:
        shown = (
            f"{sanitize(answer, limit=_ANSWER_CHARACTERS)} ({count})"
            for answer, count in answers.most_common(_SHOWN_ANSWERS)
        )
        line += f"; answers so far: {', '.join(shown)}"
    return line
