import json
import shutil
from pathlib import Path

import msgspec
import pytest

from judge_server.data.alpaca import record_of
from judge_server.data.pairs import Pair
from orchestrator.core.judging import JudgeSpec
from tests.support.evaluating import TRAINING_SETTINGS


@pytest.fixture
def trained(folder: Path, tmp_path: Path, spec: JudgeSpec) -> Path:
    """A judge whose training is on record."""
    judge = Path(shutil.copytree(folder, tmp_path / "trained"))
    record = {"judge": spec.model_dump(mode="json"), "settings": TRAINING_SETTINGS}
    (judge / "training.json").write_text(json.dumps(record))
    return judge


@pytest.fixture
def pairs_file(tmp_path: Path, spec: JudgeSpec) -> Path:
    """12 questions x 10 pairs; the words of a same-answer pair are the same but for some."""
    pairs = [
        Pair(
            f"q{n // 10}",
            "?",
            f"so {n}",
            f"{'so' if n % 4 or n % 7 == 0 else 'wait'} {n}",
            n % 4 > 0,
            f"m{n % 2}",
        )
        for n in range(120)
    ]
    file = tmp_path / "pairs.jsonl"
    file.write_bytes(b"\n".join(msgspec.json.encode(record_of(pair, spec)) for pair in pairs))
    return file
