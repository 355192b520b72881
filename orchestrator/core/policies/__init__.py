"""Policies: pure state machines over facts that decide which traces start, pause, resume and stop."""

from orchestrator.config import Settings
from orchestrator.core.policies.adaptive_consistency import AdaptiveConsistency
from orchestrator.core.policies.auto import Auto
from orchestrator.core.policies.consensus import Consensus
from orchestrator.core.policies.deepprune import DeepPrune
from orchestrator.core.policies.esc import EarlyStopping
from orchestrator.core.policies.policy import Policy, Step
from orchestrator.core.policies.race import Race
from orchestrator.core.policies.random_k import RandomK
from orchestrator.core.policies.short import ShortFirst

__all__ = ["Policy", "Step", "make_policy", "needs_confidences", "needs_judge", "planned_traces"]


def make_policy(settings: Settings, *, resumable: bool) -> Policy:
    """The policy that `settings.policy.name` asks for, on a server that can resume streams or cannot."""
    policy, seed = settings.policy, settings.run.seed
    match policy.name:
        case "deepprune":
            pause = resumable and settings.checkpoint.at == "pause"
            return DeepPrune(policy, resumable=resumable, pause=pause, seed=seed)
        case "auto":
            return Auto(policy)
        case "adaptive-consistency":
            return AdaptiveConsistency(policy)
        case "esc":
            return EarlyStopping(policy)
        case "race":
            return Race(policy)
        case "short":
            return ShortFirst(policy)
        case "random-k":
            return RandomK(policy, seed=seed)
        case _:
            return Consensus(planned_traces(settings))


def planned_traces(settings: Settings) -> int:
    """N of a question: `policy.traces`, but 1 for `pass1`."""
    return 1 if settings.policy.name == "pass1" else settings.policy.traces


def needs_confidences(settings: Settings) -> bool:
    """Whether the run cannot do without the confidences of tokens."""
    return settings.run.keep_confidences


def needs_judge(settings: Settings) -> bool:
    """Whether the policy cannot work without a judge endpoint."""
    return settings.policy.name == "deepprune"
