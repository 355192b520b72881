"""Policies: pure state machines over events that decide which traces start, pause, resume and stop."""

from typing import assert_never

from orchestrator.core.confidence import Confidences
from orchestrator.core.policies.adaptive_consistency import AdaptiveConsistency
from orchestrator.core.policies.auto import Auto
from orchestrator.core.policies.auto_by_evidence import AutoByEvidence
from orchestrator.core.policies.base import EstimatesVotes, Policy, Step
from orchestrator.core.policies.baselines import Consensus, EarlyStopping, Race, RandomK, ShortFirst
from orchestrator.core.policies.best_of_infinity import BestOfInfinity
from orchestrator.core.policies.deepconf import DeepConf, DeepConfOffline
from orchestrator.core.policies.deepprune import DeepPrune
from orchestrator.errors import ConfigError
from orchestrator.settings import (
    AdaptiveConsistencySettings,
    AutoSettings,
    BestOfInfinitySettings,
    ConsensusSettings,
    CustomSettings,
    DeepConfOfflineSettings,
    DeepConfSettings,
    DeepPruneSettings,
    EarlyStoppingSettings,
    Pass1Settings,
    PrefixConsistencySettings,
    RaceSettings,
    RandomKSettings,
    Settings,
    ShortSettings,
    VotingRule,
)

__all__ = [
    "EstimatesVotes",
    "Policy",
    "Step",
    "make_policy",
    "needs_confidences",
    "needs_judge",
    "needs_regenerations",
    "needs_rewards",
    "planned_traces",
    "voting_rule",
    "wants_judge",
]

_DEEPCONF = (DeepConfSettings, DeepConfOfflineSettings)


def make_policy(
    settings: Settings,
    *,
    resumable: bool,
    confidences: Confidences,
    probes: bool = False,
    judge: bool = False,
) -> Policy:
    """The policy that `settings.policy.name` asks for, on a server that can resume streams or cannot.

    `confidences` are measured by the caller; only policies that watch tokens read them. `probes` says that running
    traces can be asked for their answers, `judge` that there is a judge; policies do without what they do not need.

    Raises:
        ConfigError: the policy is a user's own object.
    """
    policy, seed = settings.policy, settings.run.seed
    match policy:
        case DeepPruneSettings():
            pause = resumable and settings.checkpoint.at == "pause"
            return DeepPrune(policy, resumable=resumable, pause=pause, seed=seed)
        case AutoSettings():
            probes, judge = probes and policy.probes, judge and policy.use_judge
            if probes or judge:
                return AutoByEvidence(policy, settings.prices, probes=probes, judge=judge)
            return Auto(policy)
        case AdaptiveConsistencySettings():
            return AdaptiveConsistency(policy)
        case BestOfInfinitySettings():
            return BestOfInfinity(policy)
        case EarlyStoppingSettings():
            return EarlyStopping(policy)
        case RaceSettings():
            return Race(policy)
        case ShortSettings():
            return ShortFirst(policy)
        case DeepConfSettings():
            return DeepConf(policy, confidences)
        case DeepConfOfflineSettings():
            return DeepConfOffline(policy, confidences)
        case RandomKSettings():
            return RandomK(policy, seed=seed)
        case CustomSettings():
            raise ConfigError(
                "The policy custom is a Python object that only the program with it has, "
                "so such a run can be neither resumed nor replayed; start a new one from that program."
            )
        case ConsensusSettings() | PrefixConsistencySettings() | Pass1Settings():
            return Consensus(planned_traces(settings))
        case _:
            assert_never(policy)


def planned_traces(settings: Settings) -> int:
    """N of a question: `policy.traces`, but 1 for `pass1`."""
    return 1 if isinstance(settings.policy, Pass1Settings) else settings.policy.traces


def needs_confidences(settings: Settings) -> bool:
    """Whether the run cannot do without the confidences of tokens."""
    return settings.run.keep_confidences or _votes_by_confidence(settings)


def needs_judge(settings: Settings) -> bool:
    """Whether the run has a judge: the policy cannot work without one, or may use one and is given it."""
    policy, url = settings.policy, settings.judge.url
    may_use = isinstance(policy, CustomSettings) or (
        isinstance(policy, AutoSettings) and policy.use_judge
    )
    return isinstance(policy, DeepPruneSettings) or (may_use and url is not None)


def wants_judge(settings: Settings) -> bool:
    """Whether the policy asks a judge where there is one, so that a local one is worth starting."""
    policy = settings.policy
    return isinstance(policy, DeepPruneSettings) or (
        isinstance(policy, AutoSettings) and policy.use_judge
    )


def needs_rewards(settings: Settings) -> bool:
    """Whether the vote needs a reward model's endpoint."""
    return settings.policy.vote in ("reward", "best-of-n")


def needs_regenerations(settings: Settings) -> bool:
    """Whether finished traces are cut and continued once more, which needs a server that continues token ids."""
    return voting_rule(settings) == "prefix-consistency"


def voting_rule(settings: Settings) -> VotingRule:
    """How ballots are weighed: `policy.vote`, or what the policy's paper does."""
    own: VotingRule = "majority"
    if isinstance(settings.policy, _DEEPCONF):
        own = "confidence"
    elif isinstance(settings.policy, PrefixConsistencySettings):
        own = "prefix-consistency"
    return settings.policy.vote or own


def _votes_by_confidence(settings: Settings) -> bool:
    return isinstance(settings.policy, _DEEPCONF) or settings.policy.vote == "confidence"
