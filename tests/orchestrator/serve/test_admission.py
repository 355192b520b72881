"""How many questions run at once, and what happens to those that are too many."""

import asyncio

import pytest

from orchestrator.serve.admission import Admission
from orchestrator.serve.errors import ApiError


async def test_questions_wait_in_order_and_too_many_are_refused() -> None:
    admission = Admission(at_once=1, queue=2)
    order: list[int] = []
    release = asyncio.Event()

    async def ask(number: int) -> None:
        async with admission.place():
            order.append(number)
            await release.wait()

    tasks = [asyncio.create_task(ask(number)) for number in range(3)]
    await asyncio.sleep(0)
    assert (admission.running, admission.waiting) == (1, 2)
    with pytest.raises(ApiError) as refused:
        async with admission.place():
            pass
    assert refused.value.status == 429
    assert refused.value.retry_after is not None
    assert refused.value.retry_after >= 1
    release.set()
    await asyncio.gather(*tasks)
    assert order == [0, 1, 2]
    assert (admission.running, admission.waiting) == (0, 0)


async def test_a_question_that_leaves_the_queue_gives_its_place_back() -> None:
    admission = Admission(at_once=1, queue=1)
    async with admission.place():
        waiting = asyncio.create_task(admission.place().__aenter__())
        await asyncio.sleep(0)
        assert admission.waiting == 1
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert admission.waiting == 0
    async with admission.place():
        assert admission.running == 1


async def test_a_client_that_can_be_told_no_more_gives_its_place_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("orchestrator.serve.admission._TELL_SECONDS", 0.0)
    admission = Admission(at_once=1, queue=1)

    async def gone() -> None:
        raise ConnectionResetError

    async with admission.place():
        waiting = asyncio.create_task(admission.place(gone).__aenter__())
        await asyncio.sleep(0.05)
    with pytest.raises(ConnectionResetError):
        await waiting
    async with admission.place():
        assert admission.running == 1
