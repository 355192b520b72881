"""How often the programs look for cycles of objects that nobody uses.

Python looks each time that 700 objects more are alive. Each stream that is opened makes hundreds of them, and few in a
cycle, so most looks find nothing.
"""

import contextlib
import gc
from collections.abc import Iterator

__all__ = ["collected_rarely"]

_OBJECTS = 50_000
"""More than there were at the last look: some megabytes, if none is used."""


@contextlib.contextmanager
def collected_rarely() -> Iterator[None]:
    """Inside, the collector runs each time that so many objects more are alive."""
    before = gc.get_threshold()
    gc.set_threshold(_OBJECTS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
