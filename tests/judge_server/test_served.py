"""The served nano judge says what the local one says, in every dialect that the client speaks."""

from random import Random

import pytest

from judge_server.model import load_judge
from judge_server.pairs import Pair, PairRules, cut_trace
from judge_server.traces import TraceRow
from nano.task import make_problem
from nano.teacher import write_trace
from orchestrator.client.judge import JudgeClient
from orchestrator.client.local import nano_model
from orchestrator.config import JudgeSettings, judge_spec


def segments(seed: int, count: int) -> tuple[str, list[str]]:
    """A question and the segments of several traces of it."""
    rng = Random(seed)
    problem = make_problem(rng)
    rows = [
        TraceRow("q", problem.text, write_trace(problem, rng).text, answer="?")
        for _ in range(count)
    ]
    return problem.text, [cut.segment for row in rows if (cut := cut_trace(row, PairRules()))]


@pytest.mark.vllm
@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.timeout(600)
@pytest.mark.parametrize("dialect", ["generative_scoring", "completions"])
async def test_served_probabilities_are_the_local_ones_to_a_thousandth(vllm_servers, dialect: str):
    spec = judge_spec("nano")
    local = load_judge(nano_model("judge"), spec)
    settings = JudgeSettings(url=vllm_servers["judge"], dialect=dialect)
    spread = []
    async with JudgeClient(settings, spec, None) as client:
        await client.probe()
        for seed in range(8):
            question, (new, *members) = segments(seed, 9)
            served = (await client.score(question=question, new=new, members=members)).probabilities
            expected = local.scores([Pair("q", question, new, member, True) for member in members])
            assert served == pytest.approx(expected, abs=1e-3)
            spread += expected
    assert max(spread) - min(spread) > 0.3  # the pairs are not all alike to it
