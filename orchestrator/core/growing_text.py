"""A text that grows by chunks, at the cost of its own size: not of some 60 bytes more for each chunk."""

__all__ = ["GrowingText"]

_BLOCK = 256
"""Chunks that are joined at a time."""


class GrowingText:
    """The chunks received so far. `str` gives the whole text; a text without characters is false."""

    __slots__ = ("_blocks", "_chunks")

    def __init__(self) -> None:
        self._blocks: list[str] = []
        self._chunks: list[str] = []

    def append(self, chunk: str) -> None:
        """Adds a chunk, which may be empty."""
        if chunk:
            self._chunks.append(chunk)
            if len(self._chunks) >= _BLOCK:
                self._blocks.append("".join(self._chunks))
                self._chunks.clear()

    def clear(self) -> None:
        """Forgets all of it."""
        self._blocks.clear()
        self._chunks.clear()

    def tail(self, chars: int) -> str:
        """The last `chars` characters or so, without joining all text."""
        return "".join([*(block[-chars:] for block in self._blocks[-1:]), *self._chunks])[-chars:]

    def __str__(self) -> str:
        """All text, joined now and kept joined."""
        if self._chunks or len(self._blocks) > 1:
            self._blocks = ["".join([*self._blocks, *self._chunks])]
            self._chunks.clear()
        return self._blocks[0] if self._blocks else ""

    def __bool__(self) -> bool:
        return bool(self._blocks or self._chunks)
