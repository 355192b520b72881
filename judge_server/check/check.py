"""The three experiments before a judge is deployed, in order: `deepprune-judge check`.

Every stage leaves its files in `--out`, and a command that is repeated continues after the last one.
"""

import json
from typing import Any, NamedTuple

from judge_server.check.judging import check_judge
from judge_server.check.recommend import Recommendation, recommend
from judge_server.check.recording import record_traces
from judge_server.check.render import as_markdown, as_page
from judge_server.check.request import CheckRequest
from judge_server.check.sections import sections_of
from judge_server.check.sweep import Sweep, replay_policies
from judge_server.evaluation.evaluate import check_writable
from judge_server.evaluation.figures import rounded
from judge_server.evaluation.measure import JudgeResult
from judge_server.evaluation.plots import write_plots
from judge_server.evaluation.scoring import say

__all__ = ["Check", "check"]


class Check(NamedTuple):
    """The text of a check, and its figures as JSON."""

    text: str
    line: dict[str, Any]


def check(request: CheckRequest) -> Check:
    """Records or reads the traces, scores them, replays the policies, and writes page.html and check.json.

    Raises:
        ConfigError, DatasetError: a flag, a file or a server's answer that cannot be used.
        EndpointError, JudgeError, DeepPruneError: a stage that failed.
    """
    check_writable(request.out)
    traces = request.recorded or record_traces(request)
    judged = check_judge(request, traces)
    write_plots(request.out, [judged.result])
    sweep = replay_policies(request, traces, judged.scores)
    advice = recommend(sweep.rows, price=request.judge_price, judge_file=judged.spec)
    sections = sections_of(request, judged, sweep, advice)
    page = request.out / "page.html"
    page.write_text(as_page("Is this judge worth its price?", sections), encoding="utf-8")
    line = _line(judged.result, sweep, advice)
    (request.out / "check.json").write_text(json.dumps(line, indent=2) + "\n", encoding="utf-8")
    say(f"The page is {page}.")
    return Check(as_markdown(sections), line)


def _line(result: JudgeResult, sweep: Sweep, advice: Recommendation) -> dict[str, Any]:
    new = result.calibration
    return {
        "schema": 1,
        "judge": result.name,
        **result.figures.line(),
        "ece_calibrated": None if new is None else rounded(new.ece_after),
        "pays": advice.pays,
        "policy": advice.policy,
        "tau": advice.tau,
        "break_even_price": advice.break_even,
        "recommendation": advice.sentences,
        "policies": [row._asdict() for row in sweep.rows],
        "findings": sweep.findings,
    }
