"""Names on the command line: what each is, and what is wrong with it."""

import json
import shutil
from pathlib import Path

import pytest

from judge_server.data.pairs import Pair
from judge_server.evaluation.candidates import Candidate, QueryOptions, find_candidates
from judge_server.models.base import LocalJudge
from orchestrator.config.shipped import configs_folder
from orchestrator.core.judging import JudgeSpec
from orchestrator.errors import ConfigError, EndpointUnreachable

pytestmark = pytest.mark.slow  # imports torch

PAIRS = [
    Pair(f"q{n % 3}", f"How many {n % 3}?", f"so {n % 4}", f"maybe {n}", n % 2 > 0)
    for n in range(30)
]


def query(*specs: str, embedding_model: Path | None = None) -> QueryOptions:
    return QueryOptions(specs, embedding_model, concurrency=4)


def one(name: object, *specs: str) -> Candidate:
    (found,) = find_candidates([str(name)], query(*specs))
    return found


@pytest.fixture
def named(tmp_path: Path) -> Path:
    """A judge's YAML that is not nano's."""
    text = (configs_folder() / "judges" / "nano.yaml").read_text()
    file = tmp_path / "mine.yaml"
    file.write_text(text.replace("name: nano", "name: mine"))
    return file


@pytest.fixture
def copied(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "judge"))


def test_an_unknown_name_lists_the_baselines() -> None:
    with pytest.raises(ConfigError, match=r"no judge 'overlapp'.*overlap, words, tfidf, embedding"):
        one("overlapp")


def test_a_folder_without_a_model_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no model"):
        one(tmp_path)


def test_a_judge_named_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match="named twice"):
        find_candidates(["overlap", "overlap"], query())


def test_a_missing_encoder_is_found_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no model"):
        find_candidates(["embedding"], query(embedding_model=tmp_path))


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="is not an address"):
        one("http://")


def test_an_address_where_nobody_answers_is_unreachable(unused_tcp_port: int) -> None:
    with pytest.raises(EndpointUnreachable):
        one(f"http://127.0.0.1:{unused_tcp_port}/v1")


def test_a_folder_is_asked_by_the_yaml_beside_its_weights(copied: Path, named: Path) -> None:
    shutil.copy(named, copied / "judge.yaml")
    spec = one(copied).spec
    assert spec
    assert spec.name == "mine"


def test_without_a_yaml_a_folder_is_asked_as_it_was_trained(copied: Path, spec: JudgeSpec) -> None:
    judge = spec.model_copy(update={"name": "trained"}).model_dump(mode="json")
    settings = {"seed": 0, "validation_share": 0.1, "test_share": 0.1}
    (copied / "training.json").write_text(json.dumps({"judge": judge, "settings": settings}))
    found = one(copied)
    assert found.spec
    assert found.spec.name == "trained"
    assert found.record


def test_a_model_of_unknown_origin_is_asked_as_nano_and_it_is_said(
    copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = one(copied)
    assert found.spec
    assert (found.spec.name, found.record) == ("nano", None)
    assert "asked as judge nano" in capsys.readouterr().err


def test_a_spec_that_is_given_goes_before_the_one_in_the_folder(copied: Path, named: Path) -> None:
    shutil.copy(named, copied / "judge.yaml")
    spec = one(copied, "nano").spec
    assert spec
    assert spec.name == "nano"


def test_specs_are_one_for_all_or_one_for_each(folder: Path, copied: Path, named: Path) -> None:
    names = [str(folder), "overlap", str(copied)]
    each = find_candidates(names, query("nano", str(named)))
    assert [found.spec and found.spec.name for found in each] == ["nano", None, "mine"]
    for_all = find_candidates(names, query(str(named)))
    assert [found.spec and found.spec.name for found in for_all] == ["mine", None, "mine"]
    with pytest.raises(ConfigError, match="3 --spec for 2 judges"):
        find_candidates(names, query("nano", "nano", "nano"))


def test_a_local_judge_scores_in_chunks_what_it_scores_at_once(
    folder: Path, judge: LocalJudge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("judge_server.evaluation.scoring.CHUNK_PAIRS", 7)
    done: list[float] = []
    found = one(folder).open()(PAIRS, done.append)
    assert found == pytest.approx(judge.scores(PAIRS), abs=1e-5)
    assert done[-1] == 1.0
    assert len(done) == 5
