"""A budget of tokens over many questions: what a further trace must bring in the next one. Pure, without I/O and clock.

`auto` spends where a further trace is worth most if all questions have the same price of a trace: then no token would have
brought more in another question (cf. arXiv 2511.12309, one budget over the questions of a file). Which price uses up the budget is not known
before; it is set anew for every question that starts, from what the questions before have taken.
"""

from collections.abc import Iterator
from statistics import fmean

from orchestrator.core.policies.auto import EFFORT_PRICES
from orchestrator.settings import AutoSettings, Settings

__all__ = ["Budget", "budget_of", "priced", "shared_budget"]

_ELASTICITY = 0.3
"""Tokens go with price ** -0.3: a tenth of the price takes twice the tokens (`auto` at low, medium and high effort on AIME 2024)."""

_RANGE = 64.0
"""The price is at most so many times, and at least such a fraction of, the usual one."""


class Budget:
    """The prices of the questions that share a budget.

    Args:
        tokens: the budget, in generated tokens.
        questions: how many share it.
        price: of a further trace, where nothing is known yet; as a fraction of agreement.
    """

    def __init__(self, tokens: int, questions: int, *, price: float) -> None:
        self._left = float(tokens)
        self._questions = questions
        self._usual = price
        self._running: dict[int, tuple[float, int]] = {}
        self._seen: list[float] = []

    @property
    def left(self) -> float:
        """Tokens that no question has taken so far; negative once the budget is exceeded."""
        return self._left

    def start(self, question: int) -> float:
        """The price for a question that starts."""
        price = self._price()
        self.resume(question, price)
        return price

    def resume(self, question: int, price: float) -> None:
        """A question runs at a price that was set before."""
        self._questions -= 1
        self._running[question] = price, 0

    def see(self, question: int, tokens: int) -> None:
        """A running question has taken so many tokens so far."""
        if question in self._running:
            self._running[question] = self._running[question][0], tokens

    def end(self, question: int, tokens: int) -> None:
        """A question is over and has taken so many tokens."""
        price, _ = self._running.pop(question)
        self._left -= tokens
        self._seen.append(tokens / self._scale(price))

    def _price(self) -> float:
        if not self._seen:
            return self._usual
        mean = fmean(self._seen)
        share = (self._left - sum(self._expected(mean))) / max(1, self._questions)
        ratio = (mean / share) ** (1 / _ELASTICITY) if share > 0 else _RANGE
        return self._usual * min(_RANGE, max(1 / _RANGE, ratio))

    def _expected(self, mean: float) -> Iterator[float]:
        """Tokens that the running questions will take, where one takes `mean` at the usual price."""
        for price, tokens in self._running.values():
            yield max(mean * self._scale(price), tokens)

    def _scale(self, price: float) -> float:
        """Tokens at a price, in tokens at the usual one."""
        return float((price / self._usual) ** -_ELASTICITY)


def budget_of(settings: Settings) -> int | None:
    """The tokens that the questions of a file share; None where there is no budget."""
    return settings.policy.budget if isinstance(settings.policy, AutoSettings) else None


def shared_budget(settings: Settings, questions: int, *, spent: int = 0) -> Budget | None:
    """The budget of so many questions, without tokens that are spent; None where there is none."""
    policy = settings.policy
    if not isinstance(policy, AutoSettings) or policy.budget is None:
        return None
    price = EFFORT_PRICES[policy.effort] if policy.trace_price is None else policy.trace_price
    return Budget(policy.budget - spent, questions, price=price)


def priced(settings: Settings, price: float) -> Settings:
    """The settings of one question, with its price of a further trace."""
    policy = settings.policy.model_copy(update={"trace_price": price})
    return settings.model_copy(update={"policy": policy})
