"""How long traces were when they ended, by their fate: finished, pruned, stopped or failed."""

from collections import defaultdict

from orchestrator.core.facts import Fact, Order, TraceFailed, TraceFinished, TraceStopped

__all__ = ["FATES", "Lengths"]

FATES = ("finished", "pruned", "stopped", "failed")
"""In the order in which tables and plots show them."""


class Lengths:
    """Fed with the facts of a run, in order, it keeps the tokens of every trace that ended."""

    def __init__(self) -> None:
        self._tokens: defaultdict[str, list[int]] = defaultdict(list)

    def note(self, entry: Fact | Order) -> None:
        """Takes the next entry of a run; whatever ends no trace changes nothing."""
        match entry:
            case TraceFinished(tokens=tokens):
                self._tokens["finished"].append(tokens)
            case TraceStopped(reason=reason, tokens=tokens):
                self._tokens["pruned" if reason == "pruned" else "stopped"].append(tokens)
            case TraceFailed(tokens=tokens):
                self._tokens["failed"].append(tokens)
            case _:
                pass

    def by_fate(self) -> dict[str, tuple[int, ...]]:
        """Tokens in the order of the traces' ends; a fate that no trace met is left out."""
        return {fate: tuple(self._tokens[fate]) for fate in FATES if fate in self._tokens}
