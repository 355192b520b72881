"""The circuit breaker: after several failures in a row nothing is asked for a while. Pure; time is passed in."""

__all__ = ["Breaker"]


class Breaker:
    """Closed (calls pass), open (none pass), half-open (one trial passes and decides).

    Times are seconds on any clock that only goes forward.
    """

    def __init__(self, failures: int, seconds: float) -> None:
        self._limit = failures
        self._seconds = seconds
        self._failures = 0
        self._opened_at: float | None = None
        self._on_trial = False

    def allows(self, now: float) -> bool:
        """Whether a call may be made; every yes is followed by `succeeded`, `failed` or `abandoned`."""
        if self._opened_at is None:
            return True
        if self._on_trial or now - self._opened_at < self._seconds:
            return False
        self._on_trial = True
        return True

    def succeeded(self) -> None:
        """A call was answered: the breaker closes."""
        self._failures = 0
        self._opened_at = None
        self._on_trial = False

    def failed(self, now: float) -> None:
        """A call failed; calls that began before the breaker opened do not keep it open longer."""
        self._failures += 1
        if self._on_trial or (self._opened_at is None and self._failures >= self._limit):
            self._opened_at = now
            self._on_trial = False

    def abandoned(self) -> None:
        """A call was given up without a result, so another may be the trial."""
        self._on_trial = False

    def seconds_left(self, now: float) -> float:
        """How long it stays open; 0 when a call may pass."""
        if self._opened_at is None:
            return 0.0
        return max(0.0, self._opened_at + self._seconds - now)
