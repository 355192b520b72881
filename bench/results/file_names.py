"""Recordings by name: the shortest ends of their paths that tell them apart. Data keep the paths as they were given."""

from collections import Counter
from collections.abc import Iterable
from pathlib import PurePath

__all__ = ["short_names"]


def short_names(files: Iterable[str]) -> dict[str, str]:
    """A name for each path: the file's own, with folders before it where several files have that name."""
    paths = {file: PurePath(file).parts or (file,) for file in files}
    names: dict[str, str] = {}
    length = 1
    while len(names) < len(paths):
        ends = {file: parts[-length:] for file, parts in paths.items() if file not in names}
        seen = Counter(ends.values())
        for file, end in ends.items():
            if seen[end] == 1 or len(paths[file]) <= length:
                names[file] = str(PurePath(*end)) if file else file
        length += 1
    return names
