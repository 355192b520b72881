"""From a judge's raw score to a probability that means what it says: fitted by evaluation, applied by the client.

The rule: a calibration never changes the order of two scores (isotonic ones may make them equal).
"""

import math
from bisect import bisect_right
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["Calibration", "Isotonic", "Temperature"]


class Temperature(BaseModel):
    """Divides the log-odds by `temperature` (Guo et al., arXiv 1706.04599)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["temperature"] = "temperature"
    temperature: float = Field(gt=0.0)

    def apply(self, p: float) -> float:
        """The calibrated probability of raw score `p`, both in 0..1."""
        if p in (0.0, 1.0):
            return p
        log_odds = (math.log(p) - math.log1p(-p)) / self.temperature
        if log_odds >= 0.0:  # either way exp cannot overflow
            return 1.0 / (1.0 + math.exp(-log_odds))
        return math.exp(log_odds) / (1.0 + math.exp(log_odds))


class Isotonic(BaseModel):
    """A rising line through (`scores`, `probabilities`), level beyond its ends."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["isotonic"] = "isotonic"
    scores: tuple[float, ...] = Field(min_length=1)
    probabilities: tuple[float, ...]

    @model_validator(mode="after")
    def _rises(self) -> "Isotonic":
        if len(self.scores) != len(self.probabilities):
            raise ValueError("scores and probabilities must be of equal length")
        if list(self.scores) != sorted(set(self.scores)):
            raise ValueError("scores must rise")
        if list(self.probabilities) != sorted(self.probabilities):
            raise ValueError("probabilities must not fall")
        if not 0.0 <= self.probabilities[0] <= self.probabilities[-1] <= 1.0:
            raise ValueError("probabilities must lie in 0..1")
        return self

    def apply(self, p: float) -> float:
        """The calibrated probability of raw score `p`, both in 0..1."""
        after = bisect_right(self.scores, p)
        if after == 0:
            return self.probabilities[0]
        if after == len(self.scores):
            return self.probabilities[-1]
        left, right = self.scores[after - 1], self.scores[after]
        low, high = self.probabilities[after - 1], self.probabilities[after]
        return low + (high - low) * (p - left) / (right - left)


Calibration = Annotated[Temperature | Isotonic, Field(discriminator="method")]
