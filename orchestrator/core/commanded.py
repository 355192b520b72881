"""What each trace was commanded to do: a stop, a pause or a further stream comes only if it was commanded.

A command takes time to arrive, and a pause that is taken back at once leaves no event. So the events of a trace are
at most as many as its commands; whether each of them is the answer to one command cannot be told.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Literal

from orchestrator.core.commands import Command, PauseTrace, ResumeTrace, StopTrace
from orchestrator.core.events import TracePaused, TraceResumed, TraceStarted, TraceStopped

__all__ = ["Commanded"]


@dataclass(slots=True)
class _Trace:
    """What one trace may still do because it was commanded."""

    wanted: Literal["run", "pause", "stop"] = "run"
    pauses: int = 0
    resumes: int = 0
    stop_reasons: set[str] = field(default_factory=set)


class Commanded:
    """The commands that the core has given to the traces of a run, and which of them the traces' events use up."""

    def __init__(self) -> None:
        self._traces: defaultdict[int, _Trace] = defaultdict(_Trace)

    def note(self, command: Command) -> None:
        """Takes in a command; one without effect (a second pause, a pause after a stop) permits nothing more."""
        match command:
            case StopTrace(trace=number, reason=reason):
                trace = self._traces[number]
                trace.wanted = "stop"
                trace.stop_reasons.add(reason)
            case PauseTrace(trace=number) if self._traces[number].wanted == "run":
                self._traces[number].wanted = "pause"
                self._traces[number].pauses += 1
            case ResumeTrace(trace=number) if self._traces[number].wanted == "pause":
                self._traces[number].wanted = "run"
                self._traces[number].resumes += 1
            case _:
                pass

    def reopen(self, number: int) -> None:
        """Permits a further stream without a command: another process has taken up the run."""
        self._traces[number].resumes += 1

    def permits(
        self,
        event: TraceStopped | TracePaused | TraceResumed | TraceStarted,
        *,
        waiting: bool,
    ) -> bool:
        """Whether the event can follow from a command, which it uses up; `waiting` if its trace was paused."""
        trace = self._traces[event.trace]
        match event:
            case TraceStopped(reason=reason):
                return reason in trace.stop_reasons
            case TracePaused():
                trace.pauses -= 1
                return trace.pauses >= 0
            case TraceStarted() if not waiting:
                return True
            case TraceResumed(attempt=attempt) if attempt > 0 and not waiting:
                return True  # after a fault, which is no event
            case _:
                trace.resumes -= 1
                return trace.resumes >= 0
