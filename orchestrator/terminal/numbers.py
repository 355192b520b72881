"""How numbers are printed for people."""

import math

__all__ = ["format_rate"]


def format_rate(per_second: float) -> str:
    """A number per second with at least two significant digits: 1,234, 12, 4.2, 0.42, 0.0042."""
    if per_second >= 10 or per_second <= 0:
        return f"{per_second:,.0f}"
    places = max(1, 1 - math.floor(math.log10(per_second)))
    return f"{per_second:.{places}f}"
