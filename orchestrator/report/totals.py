"""What the judge and the reward model have cost so far."""

from dataclasses import dataclass

__all__ = ["JudgeTotals", "RewardTotals"]


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
