"""A server of recorded traces in this process, and a live benchmark on it."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bench.data.recorded import RecordedQuestion, RecordedTrace
from bench.live.plan import LivePlan
from bench.live.run import run_live
from bench.mock_server.server import ReplayServer, serve_recording
from bench.replay.server import ServerModel
from bench.results.outcomes import Outcome
from bench.specs.policy_spec import parse_policies
from orchestrator.interrupts import Interrupts
from orchestrator.questions import Question, to_jsonl
from orchestrator.runtime.endpoints import Keys

__all__ = [
    "FAST",
    "PROBE_TOKENS",
    "QUESTIONS",
    "live_plan",
    "recording",
    "run_plan",
    "served_in_thread",
    "write_questions",
]

FAST = ServerModel(first_token_seconds=0.0, step_seconds=1e-4, step_seconds_per_stream=0.0)

QUESTIONS = [Question(id=f"q{n}", question=f"Question {n}?", gold="1") for n in range(3)]

PROBE_TOKENS = 2
"""What a server generates while a client finds out its capabilities."""


def recording(*, traces: int = 6) -> list[RecordedQuestion]:
    """Recorded traces of `QUESTIONS`; trace n of each has 20 + n tokens."""
    return [
        RecordedQuestion(
            id=question.id,
            question=question.question,
            correct=frozenset({"1"}),
            traces=tuple(
                RecordedTrace(
                    tokens=20 + number,
                    answer="1",
                    text="so it goes. " * 9 + r"It is \boxed{1}.",
                )
                for number in range(traces)
            ),
        )
        for question in QUESTIONS
    ]


def live_plan(url: str, out: Path, *policies: str, **changes: Any) -> LivePlan:
    """`QUESTIONS` under the policies, two side by side."""
    plan = LivePlan(
        questions=QUESTIONS,
        specs=parse_policies(
            policies, flags={"endpoint.urls": (url,), "endpoint.check_cancellation": False}
        ),
        out=out,
        traces=4,
        at_once=2,
        streams=8,
        local=False,
        keys=Keys(),
    )
    return plan._replace(**changes)


async def run_plan(plan: LivePlan, interrupts: Interrupts | None = None) -> list[Outcome]:
    """The outcomes of the plan."""
    return await run_live(plan, interrupts or Interrupts(lambda text: None), lambda: None)


def write_questions(path: Path, questions: Sequence[Question] = QUESTIONS) -> Path:
    """A file of the questions; its path."""
    path.write_text(to_jsonl(questions), encoding="utf-8")
    return path


@contextlib.contextmanager
def served_in_thread(server: ReplayServer) -> Iterator[str]:
    """The server's address, while it runs in a thread of its own beside a test that blocks."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    context = serve_recording(server)
    try:
        yield asyncio.run_coroutine_threadsafe(context.__aenter__(), loop).result()
    finally:
        asyncio.run_coroutine_threadsafe(context.__aexit__(None, None, None), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
