"""MARS on examples worked by hand."""

import functools

import pytest

from bench.replay.mars import Seen, SwitchModel, is_safe, play_mars
from bench.replay.server import ServerModel
from orchestrator.errors import DatasetError
from tests.support.recordings import probed

SERVER = ServerModel(step_seconds=1.0, step_seconds_per_stream=0.0, probe_tokens=10)


def seen(*said: tuple[str, float]) -> list[Seen]:
    return [Seen(answer, switch) for answer, switch in said]


def test_a_leader_is_safe_while_its_margin_exceeds_what_switches_cost() -> None:
    # margin 2 over nobody; two leader's votes that switch with 0.4 cost 2 * 2 * 0.4
    assert is_safe(seen(("1", 0.4), ("1", 0.4)), 1.0)
    assert not is_safe(seen(("1", 0.5), ("1", 0.5)), 1.0)  # 2 is not more than 2
    assert is_safe(seen(("1", 0.5), ("1", 0.5)), 0.9)


def test_a_rival_narrows_the_margin_and_its_own_switches_help() -> None:
    # over "2": margin 1; cost 2 * 0.1 * 2 - 0.1
    assert is_safe(seen(("1", 0.1), ("1", 0.1), ("2", 0.1)), 1.0)
    # a third answer may go to the rival: 2 * 0.2 * 2 + 0.9 - 0.1 > 1
    assert not is_safe(seen(("1", 0.2), ("1", 0.2), ("2", 0.1), ("3", 0.9)), 1.0)
    assert not is_safe(seen(("1", 0.0), ("2", 0.0)), 1.0)
    assert not is_safe([], 1.0)


def test_an_unseen_answer_is_a_rival_too() -> None:
    assert not is_safe(seen(*[("1", 0.5)] * 9), 1.0)
    assert is_safe(seen(*[("1", 0.4)] * 9), 1.0)


def test_a_switch_model_that_saw_no_difference_gives_the_rate() -> None:
    features = [(1.0, 0.0, 0.0, 1.0, 0.0), (2.0, 0.0, 0.0, 2.0, 0.0)]
    assert SwitchModel(features, [False, False]).chance(features[0]) == 0.0
    assert SwitchModel([], []).chance(features[0]) == 1.0


def test_a_switch_model_learns_that_long_streaks_stay() -> None:
    short, long = (3.0, 0.0, 2.0, 1.0, 0.0), (3.0, 0.0, 0.0, 3.0, 0.0)
    examples = [short] * 20 + [long] * 20
    switched = [number % 10 != 0 for number in range(20)] + [
        number % 10 == 0 for number in range(20)
    ]
    model = SwitchModel(examples, switched)
    assert model.chance(short) == pytest.approx(0.9, abs=0.05)
    assert model.chance(long) == pytest.approx(0.1, abs=0.05)


question = functools.partial(probed, probe_tokens=1024)

WARM_UP = (5000, "1", ("1", "1", "1", "1"))
"""Says its answer at 1024, 2048, 3072 and 4096 tokens; checkpoints are at 2048 and 4096."""


def test_a_pool_that_agrees_is_stopped_at_its_first_checkpoint() -> None:
    traces = question(*[WARM_UP] * 16, *[(9000, "1", ("1",) * 8)] * 4)
    end = play_mars(traces, traces.traces, SERVER)
    assert end.answer == "1"
    assert (
        end.probe_tokens == (16 * 2 + 4 * 0) * 10
    )  # a stopped trace says its answer where it is stopped
    assert end.tokens == 16 * 5000 + 4 * 2048 + end.probe_tokens
    assert end.sequential_tokens == 5000 + 2048
    assert end.lengths == {"finished": (5000,) * 16, "stopped": (2048,) * 4}
    assert (end.started, len(end.finished)) == (20, 16)


def test_a_pool_that_contradicts_the_warm_up_is_not_stopped_at_once() -> None:
    traces = question(*[WARM_UP] * 16, *[(9000, "2", ("2",) * 8)] * 24)
    end = play_mars(traces, traces.traces, SERVER)
    assert end.answer == "2"
    assert end.sequential_tokens == 5000 + 2 * 2048


def test_a_pool_that_is_never_safe_runs_to_its_end() -> None:
    mixed = [(9000, "1" if n % 2 else "2", ("3", "ERR") * 4) for n in range(6)]
    warm_up = [(5000, "1" if n % 2 else "2", ("3", "3", "3", "3")) for n in range(16)]
    traces = question(*warm_up, *mixed, (1500, None, ("4",)))
    end = play_mars(traces, traces.traces, SERVER)
    assert end.answer in ("1", "2")
    assert end.tokens - end.probe_tokens == sum(trace.tokens for trace in traces.traces)
    assert "stopped" not in end.lengths


def test_a_warm_up_without_answers_teaches_nothing() -> None:
    traces = question(*[(5000, None, ("ERR",) * 4)] * 16, *[(9000, "1", ("1",) * 8)] * 2)
    end = play_mars(traces, traces.traces, SERVER)
    assert end.answer == "1"


def test_a_question_without_probes_is_refused() -> None:
    traces = question(WARM_UP, probe_tokens=None)
    with pytest.raises(DatasetError, match="without probes"):
        play_mars(traces, traces.traces, SERVER)
