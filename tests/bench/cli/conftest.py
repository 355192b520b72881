"""A recording that the commands replay."""

from pathlib import Path

import pytest

from tests.support.recordings import probe_matrix


@pytest.fixture
def matrix(tmp_path: Path) -> Path:
    """A probe matrix of three questions with eight traces each, of which six are right in two questions."""
    branches = [(["1"], 3000 + i, "1" if i % 4 else "2") for i in range(8)]
    return probe_matrix(tmp_path / "m.json", ("1", branches), ("2", branches), ("1", branches))
