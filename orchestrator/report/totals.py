"""What prompts, the judge, the reward model and the probes have cost so far, and what was odd about the servers."""

from dataclasses import dataclass, field

__all__ = ["JudgeTotals", "ProbeTotals", "PromptTotals", "RewardTotals", "WarningTotals"]


@dataclass(slots=True)
class _Stream:
    """The prompt of one stream, in tokens."""

    prompt: int
    cached: int
    further: bool = False
    """It goes on behind generated tokens."""


@dataclass(slots=True)
class PromptTotals:
    """The prompt tokens that the servers have read, over all streams.

    Some servers tell the length of a prompt only at the end of a stream. All streams of a question have the same prompt
    there, because such servers continue none, so what one tells is true of those that were stopped before.
    """

    prompt: int = 0
    cached: int = 0
    further_prompt: int = 0
    """Of `prompt`, what continued and regenerated traces read: a plain vote reads no such prompt."""
    further_cached: int = 0
    _usual: int = 0
    """The length that a stream told at its end."""
    _unknown: list[_Stream] = field(default_factory=list)
    _streams: dict[int, _Stream] = field(default_factory=dict)

    def opened(self, trace: int, prompt: int, cached: int, *, further: bool = False) -> None:
        """A stream of `trace` has begun; `prompt` is 0 where the server has not told it.

        It is `further` if it goes on behind tokens that were generated, as any but a trace's first one is.
        """
        further = further or trace in self._streams
        stream = self._streams[trace] = _Stream(0, 0, further)
        self._correct(stream, prompt or self._usual, cached)
        if not stream.prompt:
            self._unknown.append(stream)

    def told(self, trace: int, prompt: int, cached: int) -> None:
        """What the server tells of the latest stream of `trace` after it has begun."""
        stream = self._streams.setdefault(trace, _Stream(0, 0))
        self._correct(stream, prompt, cached)
        if not self._usual:
            self._usual = prompt
            for other in self._unknown:
                if other is not stream:
                    self._correct(other, prompt, other.cached)
            self._unknown.clear()

    def _correct(self, stream: _Stream, prompt: int, cached: int) -> None:
        self.prompt += prompt - stream.prompt
        self.cached += cached - stream.cached
        if stream.further:
            self.further_prompt += prompt - stream.prompt
            self.further_cached += cached - stream.cached
        stream.prompt, stream.cached = prompt, cached


@dataclass(slots=True)
class WarningTotals:
    """Warnings of one kind: the traces that they are about, and the last (untrusted) message."""

    traces: set[int] = field(default_factory=set)
    message: str = ""


@dataclass(slots=True)
class JudgeTotals:
    """The judge's bill: `calls` that gave verdicts, the pairs in them, tokens, and seconds summed over calls."""

    calls: int = 0
    requests: int = 0
    pairs: int = 0
    prompt_tokens: int = 0
    cached_prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    failures: int = 0
    pruning_off_since: float | None = None
    """When the judge stopped giving verdicts (the first failure since the last good call), in seconds."""


@dataclass(slots=True)
class ProbeTotals:
    """The bill of asking running traces for their answers: probes, failed ones apart, tokens and seconds over all."""

    probes: int = 0
    failures: int = 0
    tokens: int = 0
    """Generated, so they are part of the reasoner's bill, but of no trace."""
    prompt_tokens: int = 0
    cached_prompt_tokens: int = 0
    seconds: float = 0.0


@dataclass(slots=True)
class RewardTotals:
    """The reward model's bill: traces with a reward, traces without, tokens read, and seconds summed over traces."""

    traces: int = 0
    failures: int = 0
    prompt_tokens: int = 0
    seconds: float = 0.0
    last_failure: str = ""
    """The (untrusted) reason of the latest failure."""

    def add(self, other: "RewardTotals") -> None:
        """Adds the bill of another question."""
        self.traces += other.traces
        self.failures += other.failures
        self.prompt_tokens += other.prompt_tokens
        self.seconds += other.seconds
        self.last_failure = other.last_failure or self.last_failure
