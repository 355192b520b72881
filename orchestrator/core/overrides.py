"""What the user wants of single traces, and how it changes the policy's orders.

The rule: the policy decides as if nobody had interfered; its orders are amended afterwards. A pinned trace
that it would prune runs to its end instead. Unpinned again, it is pruned after all.
"""

from orchestrator.core.events import Act, Order, PauseTrace, ResumeTrace, StopTrace

__all__ = ["Wishes"]


class Wishes:
    """The traces that the user keeps alive; the engine asks here before an order goes out."""

    def __init__(self) -> None:
        self.kept: set[int] = set()
        """Never pruned, and sure of a ballot if they finish."""
        self._hurried: set[int] = set()  # run on without waiting for the judge
        self._spared: dict[int, StopTrace] = {}

    def take(self, act: Act, trace: int) -> list[Order]:
        """What follows at once from an act (pin, unpin, finish or stop) on an open trace."""
        if act == "stop":
            return [StopTrace(trace=trace, reason="user")]
        if act == "unpin":
            self.kept.discard(trace)
            self._hurried.discard(trace)
            spared = self._spared.pop(trace, None)
            return [] if spared is None else [spared]
        self.kept.add(trace)
        if act == "pin":
            return []
        self._hurried.add(trace)
        return [ResumeTrace(trace=trace)]

    def amend(self, order: Order) -> list[Order]:
        """The orders to give in place of the policy's `order`."""
        if isinstance(order, StopTrace) and order.trace in self.kept:
            self._spared[order.trace] = order
            return [ResumeTrace(trace=order.trace)]
        if isinstance(order, PauseTrace) and order.trace in self._hurried:
            return []
        return [order]
