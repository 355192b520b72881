"""The folder of a benchmark that can be continued."""

from pathlib import Path

import pytest

from bench.results.folder import claim_folder
from orchestrator.errors import ConfigError


def test_a_folder_is_continued_by_the_same_benchmark_alone(tmp_path: Path) -> None:
    claim_folder(tmp_path / "new" / "out", "plan.json", "one")
    claim_folder(tmp_path / "new" / "out", "plan.json", "one")
    with pytest.raises(ConfigError, match="with other settings; give another --out"):
        claim_folder(tmp_path / "new" / "out", "plan.json", "another")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="Cannot use the folder"):
        claim_folder(tmp_path / "file" / "out", "plan.json", "one")
