"""Traces that finished without an answer that could be read: how many, what one looks like, and what to do."""

from typing import NamedTuple

from orchestrator.report.view import RunView

__all__ = ["Unreadable", "unreadable_of"]

_ENDING_CHARACTERS = 160
_MANY = 0.25
"""From this fraction of the finished traces on, the user is told what to do."""


class Unreadable(NamedTuple):
    """The finished traces of a run without an answer.

    Attributes:
        traces: how many there are.
        cut: those of them that reached their token limit.
        finished: all finished traces.
        ending: the last characters of one, of one that was not cut if there is such (untrusted text); None without any.
    """

    traces: int
    cut: int
    finished: int
    ending: str | None

    def sentences(self) -> list[str]:
        """What a user is told, in plain sentences with untrusted text in them; none where every trace has an answer."""
        if not self.traces:
            return []
        cut = f", {self.cut} of them cut at their token limit" if self.cut else ""
        told = [
            f"No answer could be read from {self.traces} of {self.finished} finished traces{cut}."
        ]
        if self.traces >= _MANY * self.finished:
            told += [f"One ends: “{self.ending}”."] if self.ending else []
            told.append(self._remedy())
        return told

    def _remedy(self) -> str:
        longer = "allow longer traces with --max-tokens"
        form = "ask for a form of answer with --prompt"
        if self.cut == self.traces:
            return longer.capitalize() + "."
        return (f"{form}, or {longer}" if self.cut else form).capitalize() + "."


def unreadable_of(view: RunView) -> Unreadable:
    """The traces of a run from which no answer could be read so far."""
    finished = [trace for trace in view.traces.values() if trace.ending == "finished"]
    found = [trace for trace in finished if trace.answer is None]
    whole = [trace for trace in found if trace.finish_reason != "length"]
    shown = (whole or found)[:1]
    return Unreadable(
        traces=len(found),
        cut=len(found) - len(whole),
        finished=len(finished),
        ending=shown[0].tail[-_ENDING_CHARACTERS:].strip() or None if shown else None,
    )
