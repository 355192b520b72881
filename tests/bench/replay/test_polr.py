"""PoLR: the largest cluster of prefixes is finished."""

from pathlib import Path

import pytest

from bench.cli.main import main
from bench.data.recorded import RecordedTrace
from bench.replay.polr import largest_cluster, play_polr
from bench.replay.prefixes import Prefix
from bench.replay.server import ServerModel
from tests.support.recordings import probe_matrix

ALGEBRA = "solve the equation for x and factor the polynomial"
GEOMETRY = "draw the triangle and drop a perpendicular to the side"
SERVER = ServerModel(step_seconds=1.0, step_seconds_per_stream=0.0)


def test_prefixes_that_speak_alike_are_one_cluster() -> None:
    texts = [
        ALGEBRA,
        GEOMETRY,
        ALGEBRA + " again",
        GEOMETRY + " then",
        ALGEBRA + " now",
        ALGEBRA + " once",
        GEOMETRY + " here",
    ]
    assert largest_cluster(texts) == {0, 2, 4, 5}


@pytest.mark.parametrize("texts", [["a b"], ["a b", "a b", "c d"], ["", " ", "  "]])
def test_texts_that_nothing_separates_are_one_cluster(texts: list[str]) -> None:
    assert largest_cluster(texts) == set(range(len(texts)))


def test_the_largest_cluster_finishes_and_the_rest_is_pruned_at_the_checkpoint() -> None:
    texts = [ALGEBRA, ALGEBRA + " again", ALGEBRA + " now", GEOMETRY, GEOMETRY + " then"]
    traces = [
        RecordedTrace(tokens=100 + 10 * number, answer="1" if number < 2 else "2", text=text)
        for number, text in enumerate(texts)
    ]
    prefixes: list[Prefix | None] = [Prefix(text, 40) for text in texts]
    prefixes[4] = None  # it ended before its checkpoint
    end = play_polr(traces, prefixes, SERVER)
    assert end.answer == "1"
    assert end.finished == ("1", "1", "2")
    assert end.lengths == {"finished": (100, 110, 120, 140), "pruned": (40,)}
    assert end.tokens == 100 + 110 + 120 + 40 + 140
    assert end.sequential_tokens == 140 + (120 - 40)


def test_a_recording_without_texts_is_refused_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = probe_matrix(tmp_path / "m.json", ("1", [(["1"], 900, "1")] * 4))
    assert main(["run", "--replay", str(path), "--policy", "polr"]) == 2
    assert f"{path} has no texts (question '1')" in capsys.readouterr().err
    assert main(["run", "--replay", str(path), "--policy", "mars@4", "--json"]) == 0
