"""Commands: what the runtime is to do, imperative, as frozen structs. Each is performed and produces events."""

import msgspec

__all__ = [
    "AskJudge",
    "Command",
    "FinishRun",
    "HoldLaunches",
    "PauseTrace",
    "ProbeTrace",
    "ReleaseLaunches",
    "ResumeTrace",
    "RewardTrace",
    "StartTrace",
    "StopTrace",
]


class _Command(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    pass


class StartTrace(_Command, frozen=True, kw_only=True, omit_defaults=True):
    """Open the trace's first stream as soon as there is room for one.

    With `of` it is a regeneration: it goes on behind the first `prefix_tokens` generated tokens of a finished trace.
    """

    trace: int
    of: int | None = None
    prefix_tokens: int = 0


class PauseTrace(_Command, frozen=True, kw_only=True):
    """Close the stream, keep what was received; the trace may be resumed."""

    trace: int


class ResumeTrace(_Command, frozen=True, kw_only=True):
    """Go on from the tokens received; without effect on a trace that is still running."""

    trace: int


class StopTrace(_Command, frozen=True, kw_only=True):
    """End the trace for good; without effect on a trace that has ended."""

    trace: int
    reason: str


class AskJudge(_Command, frozen=True, kw_only=True):
    """Ask for p(identical) of `trace` with each of `members`, all by their segments."""

    trace: int
    members: tuple[int, ...]


class RewardTrace(_Command, frozen=True, kw_only=True):
    """Ask the reward model about a trace that has finished."""

    trace: int


class ProbeTrace(_Command, frozen=True, kw_only=True):
    """Ask a running trace for its answer; its own stream goes on undisturbed.

    The runtime continues the trace's ids of this moment (prompt and generated) behind a forced ending, in a request of
    its own, greedily and for a few tokens, and reads the answer from the text. It answers every command with one
    `TraceProbed` or `ProbeFailed`, also when the trace ends meanwhile; after the vote it may leave that out. It comes only
    where `ServerCapabilities.probes` is true.
    """

    trace: int


class HoldLaunches(_Command, frozen=True, kw_only=True):
    """Open the first stream of no further trace; open ones go on, and so do resumed ones."""


class ReleaseLaunches(_Command, frozen=True, kw_only=True):
    """Open first streams again."""


class FinishRun(_Command, frozen=True, kw_only=True):
    """Nothing is left to do: close the run."""


Command = (
    StartTrace
    | PauseTrace
    | ResumeTrace
    | StopTrace
    | AskJudge
    | RewardTrace
    | ProbeTrace
    | HoldLaunches
    | ReleaseLaunches
    | FinishRun
)
