import asyncio

import pytest

from orchestrator.interrupts import EXIT_INTERRUPTED, Interrupts


async def test_the_first_interrupt_asks_the_run_to_end() -> None:
    said = []
    interrupts = Interrupts(said.append)
    with interrupts.listening(), interrupts.graceful():
        interrupts.interrupt()
        await asyncio.sleep(0)
    assert interrupts.requested.is_set()
    assert len(said) == 1


async def test_where_no_question_runs_the_work_is_cancelled() -> None:
    interrupts = Interrupts(lambda text: None)
    with interrupts.listening():
        interrupts.interrupt()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.sleep(10)


async def test_the_second_one_gives_the_terminal_back_and_leaves_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    left = []
    monkeypatch.setattr("os._exit", left.append)
    interrupts = Interrupts(lambda text: None)
    interrupts.before_leaving = lambda: left.append("terminal")
    with interrupts.listening(), interrupts.graceful():
        interrupts.interrupt()
        interrupts.interrupt()
    assert left == ["terminal", EXIT_INTERRUPTED]
