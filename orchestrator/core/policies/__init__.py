"""Policies: pure state machines over facts that decide which traces start, pause, resume and stop."""

from orchestrator.config import Settings
from orchestrator.core.policies.consensus import Consensus
from orchestrator.core.policies.deepprune import DeepPrune
from orchestrator.core.policies.policy import Policy, Step

__all__ = ["Policy", "Step", "make_policy", "needs_judge", "planned_traces"]


def make_policy(settings: Settings, *, resumable: bool) -> Policy:
    """The policy that `settings.policy.name` asks for, on a server that can resume streams or cannot."""
    planned = planned_traces(settings)
    if settings.policy.name == "deepprune":
        return DeepPrune(
            settings.policy,
            resumable=resumable,
            pause=resumable and settings.checkpoint.at == "pause",
            seed=settings.run.seed,
        )
    return Consensus(planned)


def planned_traces(settings: Settings) -> int:
    """N of a question: `policy.traces`, but 1 for `pass1`."""
    return 1 if settings.policy.name == "pass1" else settings.policy.traces


def needs_judge(settings: Settings) -> bool:
    """Whether the policy cannot work without a judge endpoint."""
    return settings.policy.name == "deepprune"
