"""Which stream is opened when, and on which replica: a pure state machine, without I/O and without a clock.

A trace sticks to the replica that holds its cache, its owner. It moves only for a reason: the owner is out, has refused
streams or is full while another one has room, or carries more than two streams above the least loaded one. What has no
owner goes where the smallest fraction of the capacity is in use.
"""

from collections.abc import Hashable, Sequence
from typing import NamedTuple

from orchestrator.core.events import MoveReason
from orchestrator.runtime.replica import Replica, StreamEnd

__all__ = ["Placement", "ReplicaChange", "Routing"]

_SPREAD = 2  # streams above the least loaded replica before a trace leaves its owner


class Placement(NamedTuple):
    """A stream that is to be opened now, the number of its replica, and why that is not the trace's owner."""

    stream: Hashable
    replica: int
    moved: MoveReason | None


class ReplicaChange(NamedTuple):
    """A replica went out (`up` is False) or came back; `reason` is the fault that put it out."""

    replica: int
    up: bool
    reason: str


class Routing:
    """The replicas, the streams on them, and those that wait for their turn.

    Times are seconds on any clock that only goes forward. A single replica is never out: there is no other to go to.

    Args:
        replicas: how many there are.
        most: streams open at once, over all replicas.
        failures: broken streams in a row that put a replica out.
        seconds: until it is tried again, unless a health check succeeds before.
    """

    def __init__(
        self, replicas: int, *, most: int, failures: int = 3, seconds: float = 10.0
    ) -> None:
        limit = failures if replicas > 1 else None
        self.replicas = [Replica(most, failures=limit, seconds=seconds) for _ in range(replicas)]
        self.changes: list[ReplicaChange] = []
        """What happened to replicas and was not taken yet; whoever takes it empties the list."""
        self._most = most
        self._waiting: dict[Hashable, int | None] = {}
        self._streams: dict[Hashable, int] = {}

    @property
    def live(self) -> int:
        """Streams that are open, or being opened."""
        return len(self._streams)

    @property
    def waiting(self) -> int:
        """Streams that wait for their turn."""
        return len(self._waiting)

    @property
    def capacity(self) -> int:
        """Streams that the replicas sustain together, as far as is known."""
        return min(self._most, sum(replica.capacity for replica in self.replicas if replica.up))

    def usable(self, now: float) -> bool:
        """Whether any replica works or may be tried; if not, waiting is in vain for now."""
        return any(replica.usable(now) or replica.trial is not None for replica in self.replicas)

    def has_alternative(self, owner: int, now: float) -> bool:
        """Whether a stream that `owner` has failed may go elsewhere at once: the owner will not have it, another may."""
        refuses = not self.replicas[owner].usable(now) or self.replicas[owner].busy(now)
        return refuses and self.others_work(owner, now)

    def others_work(self, replica: int, now: float) -> bool:
        """Whether a stream may be opened on another replica than this one, as soon as that has room."""
        others = [one for number, one in enumerate(self.replicas) if number != replica]
        return any(one.usable(now) and not one.busy(now) for one in others)

    def leave_out(self, replica: int) -> None:
        """A replica was not there at the start: it is out until a health check succeeds."""
        self.replicas[replica].leave_out()

    def ask(self, stream: Hashable, owner: int | None) -> None:
        """A trace wants a stream; `owner` is the replica that has its cache."""
        self._waiting[stream] = owner

    def withdraw(self, stream: Hashable) -> None:
        """A trace no longer waits for its turn."""
        self._waiting.pop(stream, None)

    def admit(self, now: float) -> list[Placement]:
        """The streams whose turn it is; they count as open until they are reported as ended.

        First come, first served, but a trace waits for its owner as long as others can use what is free elsewhere.
        """
        placements = []
        while self._waiting and self.live < self._most:
            placement = self._next(now)
            if placement is None:
                break
            del self._waiting[placement.stream]
            self._streams[placement.stream] = placement.replica
            self.replicas[placement.replica].place(placement.stream)
            placements.append(placement)
        return placements

    def answered(self, stream: Hashable) -> None:
        """A stream gave its first event."""
        with_replica = self._streams[stream]
        was_up = self.replicas[with_replica].up
        self.replicas[with_replica].answered()
        self._note_change(with_replica, was_up, "")

    def end(
        self,
        stream: Hashable,
        how: StreamEnd,
        now: float,
        *,
        retry_after: float | None = None,
        reason: str = "",
    ) -> None:
        """A stream has ended; `retry_after` (seconds) goes with "busy", `reason` says what was wrong."""
        number = self._streams.pop(stream)
        was_up = self.replicas[number].up
        self.replicas[number].end(stream, how, now, retry_after)
        self._note_change(number, was_up, reason)

    def check(self, replica: int, now: float, *, healthy: bool, reason: str = "") -> None:
        """The result of a health check; `reason` says what was wrong."""
        was_up = self.replicas[replica].up
        self.replicas[replica].check(now, healthy=healthy)
        self._note_change(replica, was_up, reason)

    def queued(self, replica: int, waiting: int) -> None:
        """The replica's server holds so many requests back."""
        self.replicas[replica].queued(waiting)

    def on(self, replica: int) -> list[Hashable]:
        """The streams on a replica."""
        return [stream for stream, number in self._streams.items() if number == replica]

    def _note_change(self, number: int, was_up: bool, reason: str) -> None:
        if self.replicas[number].up != was_up:
            self.changes.append(ReplicaChange(number, not was_up, reason))

    def _next(self, now: float) -> Placement | None:
        """The next stream to open: the first that need not wait for its owner, else the first of all."""
        free = self._free(now)
        if not free:
            return None
        least = min(free, key=self._load)
        for stream, owner in self._waiting.items():
            if owner is None:
                return Placement(stream, least, None)
            reason = self._reason_to_move(owner, free, now)
            if reason is not None:
                return Placement(stream, least, reason)
            if owner in free:
                return Placement(stream, owner, None)
        return Placement(next(iter(self._waiting)), least, "busy")

    def _free(self, now: float) -> Sequence[int]:
        """The replicas that have room; busy ones only where no other works."""
        free = [n for n, replica in enumerate(self.replicas) if replica.has_room(now)]
        if any(replica.usable(now) and not replica.busy(now) for replica in self.replicas):
            return [n for n in free if not self.replicas[n].busy(now)]
        return free

    def _load(self, number: int) -> tuple[float, int]:
        """By what the least loaded replica is chosen; of equal ones, the one that was chosen less often."""
        replica = self.replicas[number]
        return replica.fraction, replica.placed

    def _reason_to_move(self, owner: int, free: Sequence[int], now: float) -> MoveReason | None:
        """Why a trace should not wait for its owner; None where it should, or may go to it at once."""
        replica = self.replicas[owner]
        if not replica.usable(now):
            return "down"
        if owner not in free:
            others_work = any(one.usable(now) and not one.busy(now) for one in self.replicas)
            return "busy" if replica.busy(now) and others_work else None
        least = min(self.replicas[number].fraction for number in free)
        above = replica.live + 1 - least * replica.capacity
        return "load" if above > _SPREAD else None
