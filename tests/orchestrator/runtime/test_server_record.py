"""A refused trace waits for what the others see, and no longer."""

import asyncio

from orchestrator.runtime.server_record import ServerRecord


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def running(traces: int) -> ServerRecord:
    record = ServerRecord()
    for _ in range(traces):
        record.enter()
    return record


async def test_all_that_run_are_refused() -> None:
    record = running(3)
    first = [asyncio.create_task(record.all_are_refused(lambda: False)) for _ in range(2)]
    await settle()
    assert not any(task.done() for task in first)
    assert await record.all_are_refused(lambda: False)
    for task in first:
        task.cancel()


async def test_a_refusal_concerns_one_trace_once_another_has_an_answer() -> None:
    record = running(2)
    refused = asyncio.create_task(record.all_are_refused(lambda: False))
    await settle()
    record.note_answer(1.0)
    assert not await refused
    assert not await record.all_are_refused(lambda: False)


async def test_the_last_trace_that_leaves_without_an_answer_decides() -> None:
    record = running(2)
    refused = asyncio.create_task(record.all_are_refused(lambda: False))
    await settle()
    record.leave()
    assert await refused


async def test_a_trace_that_is_stopped_waits_no_longer() -> None:
    record, stopped = running(2), False
    refused = asyncio.create_task(record.all_are_refused(lambda: stopped))
    await settle()
    stopped = True
    record.wake()
    assert not await refused


async def test_what_an_earlier_process_was_answered_counts() -> None:
    record = ServerRecord(answered=True)
    record.enter()
    assert not await record.all_are_refused(lambda: False)
    assert record.answered_since(-1.0)
    assert not record.answered_since(0.0)
    record.note_answer(5.0)
    assert record.answered_since(4.9)
