"""The settings of each policy, told apart by `policy.name`. The letters are those of arXiv 2510.08483.

A policy has the settings that all policies share and its own; a setting of another policy is refused.
"""

from typing import Annotated, ClassVar, Literal, get_args

from pydantic import Field, ValidationInfo, field_validator

from orchestrator.settings.section import (
    Number,
    OptionalNumber,
    OptionalWhole,
    Probability,
    Section,
    Whole,
)

__all__ = [
    "POLICY_NAMES",
    "AdaptiveConsistencySettings",
    "AnyPolicySettings",
    "AutoSettings",
    "BestOfInfinitySettings",
    "ConsensusSettings",
    "CustomSettings",
    "DeepConfOfflineSettings",
    "DeepConfSettings",
    "DeepPruneSettings",
    "EarlyStoppingSettings",
    "Pass1Settings",
    "PolicySettings",
    "PrefixConsistencySettings",
    "RaceSettings",
    "RandomKSettings",
    "ShortSettings",
    "VotingRule",
    "policies_with",
]

VotingRule = Literal[
    "majority", "confidence", "cluster-size", "reward", "best-of-n", "prefix-consistency"
]
TraceMeasure = Literal["lowest", "bottom", "tail", "mean"]


class PolicySettings(Section):
    """What all policies share: traces, the vote, and how the confidence of a trace is measured."""

    makes_clusters: ClassVar[bool] = False

    name: str
    traces: Whole = Field(
        default=64, ge=1, le=4096, description="N, the traces planned for a question"
    )
    min_ballots: Whole = Field(default=1, ge=1, description="with fewer votes, the answer is null")
    vote: VotingRule | None = Field(
        default=None,
        description="what a vote weighs: 1, the trace's confidence, the size of its cluster, or its reward; "
        "best-of-n: the best reward decides alone; prefix-consistency: more if the trace, cut and continued, comes to the same "
        "answer; null: what the policy's name says, confidence for deepconf, majority for all others",
    )
    prefix_fraction: Number = Field(
        default=0.75,
        gt=0.0,
        lt=1.0,
        description="for prefix-consistency: the fraction of a finished trace behind which it is continued once more",
    )
    prefix_weight: Number = Field(
        default=8.0,
        ge=1.0,
        description="for prefix-consistency: what the vote weighs if the answer comes back; else 1",
    )
    trace_confidence: TraceMeasure = Field(
        default="lowest",
        description="a trace's confidence: its lowest group, the bottom tenth of its groups, its tail, or its mean",
    )
    confidence_window: Whole = Field(
        default=2048, ge=1, description="tokens in a group, and in the tail"
    )
    top_logprobs: Whole = Field(
        default=20, ge=1, description="log-probabilities that make the confidence of one token"
    )

    @field_validator("vote")
    @classmethod
    def _clusters_to_weigh_by(
        cls, vote: VotingRule | None, info: ValidationInfo
    ) -> VotingRule | None:
        if vote == "cluster-size" and not cls.makes_clusters:
            raise ValueError(f"{info.data.get('name')} makes no clusters; only deepprune does")
        return vote


class AutoSettings(PolicySettings):
    """As many traces as the question is worth."""

    name: Literal["auto"] = "auto"
    effort: Literal["low", "medium", "high"] = Field(
        default="medium", description="how much a sure vote may cost"
    )
    trace_price: OptionalNumber = Field(
        default=None,
        gt=0.0,
        description="what one more trace must bring, as expected fraction of agreement; null: by effort",
    )
    budget: OptionalWhole = Field(
        default=None,
        ge=1,
        description="generated tokens for all questions of a file together: the price of a trace is set anew for every question",
    )
    probes: bool = Field(
        default=True,
        description="ask running traces for their answers once one has finished, where the server can",
    )
    probe_every: Number = Field(
        default=0.125,
        gt=0.0,
        description="ask a running trace again after this fraction of the length of finished ones",
    )
    probe_hit: Number = Field(
        default=0.7,
        gt=0.0,
        lt=1.0,
        description="the chance that a probe names the answer in which its trace will end, before any has ended",
    )
    probe_false_alarm: Number = Field(
        default=0.05,
        gt=0.0,
        lt=1.0,
        description="the chance that it names a certain other answer with votes, before any has ended",
    )
    reliability_weight: Number = Field(
        default=20.0,
        gt=0.0,
        description="ended probes that weigh as much as those two settings",
    )
    use_judge: bool = Field(
        default=False,
        description="ask the judge, where one is given, which running traces will end like a finished one",
    )


class DeepPruneSettings(PolicySettings):
    """The paper's policy: a judge's clusters."""

    makes_clusters: ClassVar[bool] = True

    name: Literal["deepprune"] = "deepprune"
    tau: Probability = Field(
        default=0.5, description="a trace joins the best cluster above this similarity"
    )
    max_clusters: Whole = Field(default=32, ge=1, description="K")
    sample_members: Whole = Field(
        default=10, ge=1, description="K1, members compared with in each cluster"
    )
    survivors: Whole = Field(
        default=10, ge=1, description="K2, traces of the largest cluster that finish"
    )
    singleton_survivors: Whole = Field(
        default=10, ge=1, description="K3, random traces if no two were alike"
    )
    when_full: Literal["join", "drop"] = Field(
        default="join",
        description="an unmatched trace at K clusters: joins the most similar, or is pruned",
    )
    bounds: bool = Field(
        default=True, description="leave out judge calls that cannot change the assignment"
    )
    lookahead: Whole = Field(default=8, ge=1, description="waiting traces judged side by side")
    match: Literal["most-similar", "first"] = Field(
        default="most-similar",
        description="a trace joins the most similar cluster, or the first one above tau, largest first, for far fewer pairs",
    )
    certainty: OptionalNumber = Field(
        default=None,
        ge=0.0,
        description="with match first: standard errors by which a mean must pass tau; null: surely",
    )


class ConsensusSettings(PolicySettings):
    """A plain vote over all traces, cons@N."""

    name: Literal["consensus"] = "consensus"


class PrefixConsistencySettings(PolicySettings):
    """A vote over all traces, in which those weigh more that come to the same answer when they are continued again."""

    name: Literal["prefix-consistency"] = "prefix-consistency"


class Pass1Settings(PolicySettings):
    """One trace, whatever `traces` says."""

    name: Literal["pass1"] = "pass1"


class AdaptiveConsistencySettings(PolicySettings):
    """One trace after another, until the leader stays ahead."""

    name: Literal["adaptive-consistency"] = "adaptive-consistency"
    confidence: Probability = Field(
        default=0.95, description="end when the leader stays ahead with this probability"
    )
    posterior: Literal["beta", "dirichlet"] = Field(
        default="beta", description="from the two leading counts, or from all"
    )


class BestOfInfinitySettings(PolicySettings):
    """One trace after another, until a Bayes factor says that the leader is the most frequent answer."""

    name: Literal["best-of-infinity"] = "best-of-infinity"
    bayes_factor: Number = Field(default=10.0, gt=0.0, description="end at this Bayes factor")
    unseen_weight: Number = Field(
        default=0.3, gt=0.0, description="the weight of answers not seen so far, in votes"
    )


class EarlyStoppingSettings(PolicySettings):
    """Windows of traces, until one is unanimous."""

    name: Literal["esc"] = "esc"
    window: Whole = Field(default=5, ge=1, description="traces started together")


class RaceSettings(PolicySettings):
    """Windows of traces that are stopped when the leader stays ahead."""

    name: Literal["race"] = "race"
    confidence: Probability = Field(
        default=0.95, description="end when the leader stays ahead with this probability"
    )
    window: Whole = Field(default=5, ge=1, description="traces started together")


class ShortSettings(PolicySettings):
    """The first traces to end vote."""

    name: Literal["short"] = "short"
    enough: Whole = Field(default=3, ge=1, description="votes that end the run")


class RandomKSettings(PolicySettings):
    """Random traces finish: what a judge has to beat."""

    name: Literal["random-k"] = "random-k"
    survivors: Whole = Field(default=10, ge=1, description="traces that finish")


class DeepConfSettings(PolicySettings):
    """Traces stopped when their confidence falls below that of the warm-up's."""

    name: Literal["deepconf-low", "deepconf-high"]
    warm_up: Whole = Field(
        default=16, ge=1, description="traces that run to their end and set the threshold"
    )
    consensus_share: Probability = Field(
        default=0.95, description="end when one answer has this fraction of the weight"
    )


class DeepConfOfflineSettings(PolicySettings):
    """All traces finish, and the surest vote."""

    name: Literal["deepconf-offline"] = "deepconf-offline"
    kept_share: Number = Field(
        default=0.1, gt=0.0, le=1.0, description="the surest fraction, which votes"
    )


class CustomSettings(PolicySettings):
    """A policy object of a Python program, which decides by itself."""

    name: Literal["custom"] = "custom"


AnyPolicySettings = Annotated[
    Pass1Settings
    | ConsensusSettings
    | PrefixConsistencySettings
    | DeepPruneSettings
    | AutoSettings
    | AdaptiveConsistencySettings
    | BestOfInfinitySettings
    | EarlyStoppingSettings
    | RaceSettings
    | ShortSettings
    | RandomKSettings
    | DeepConfSettings
    | DeepConfOfflineSettings
    | CustomSettings,
    Field(discriminator="name"),
]
"""The settings of one policy, chosen by `name`."""

_MODELS: dict[str, type[PolicySettings]] = {
    name: model
    for model in get_args(get_args(AnyPolicySettings)[0])
    for name in get_args(model.model_fields["name"].annotation)
}

POLICY_NAMES = tuple(_MODELS)


def policies_with(setting: str) -> tuple[str, ...]:
    """The names of the policies that have this setting, such as "tau"; none if there is no such setting."""
    return tuple(name for name, model in _MODELS.items() if setting in model.model_fields)
