"""Ctrl-C at each moment of a session."""

import asyncio

import pytest

from orchestrator.errors import EXIT_INTERRUPTED
from orchestrator.interrupts import Interrupts


async def test_the_first_interrupt_asks_the_work_to_end() -> None:
    calls: list[str] = []
    interrupts = Interrupts(calls.append)
    with interrupts.listening(), interrupts.graceful(lambda: calls.append("stop")):
        interrupts.interrupt()
        await asyncio.sleep(0)
    assert interrupts.requested.is_set()
    assert calls == ["Stopping the streams; press Ctrl-C again to leave at once.", "stop"]


async def test_outside_graceful_work_the_task_is_cancelled() -> None:
    interrupts = Interrupts(lambda text: None)
    with interrupts.listening():
        with interrupts.graceful():
            pass
        interrupts.interrupt()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.sleep(10)
    assert interrupts.requested.is_set()


async def test_work_that_has_nothing_to_end_yet_is_cancelled() -> None:
    calls: list[str] = []
    interrupts = Interrupts(calls.append)
    with interrupts.listening(), interrupts.graceful(lambda: calls.append("stop"), lambda: False):
        interrupts.interrupt()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.sleep(10)
    assert calls == []


async def test_the_second_interrupt_gives_the_terminal_back_and_exits_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[object] = []
    monkeypatch.setattr("os._exit", calls.append)
    interrupts = Interrupts(lambda text: None, before_exit=lambda: calls.append("terminal"))
    with interrupts.listening(), interrupts.graceful():
        interrupts.interrupt()
        interrupts.interrupt()
    assert calls == ["terminal", EXIT_INTERRUPTED]
