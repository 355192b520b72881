"""How many streams are admitted at once."""

import asyncio
import contextlib

from orchestrator.runtime.limiter import StreamLimiter


class Crowd:
    """Tasks that each wait for the limiter and stay inside until they are let go."""

    def __init__(self, limiter: StreamLimiter, size: int) -> None:
        self.inside: list[int] = []
        self.leave = [asyncio.Event() for _ in range(size)]
        self.tasks = [asyncio.create_task(self._visit(limiter, n)) for n in range(size)]

    async def _visit(self, limiter: StreamLimiter, number: int) -> None:
        async with limiter.one():
            self.inside.append(number)
            try:
                await self.leave[number].wait()
            finally:
                self.inside.remove(number)

    async def settle(self) -> list[int]:
        for _ in range(5):
            await asyncio.sleep(0)
        return self.inside

    async def end(self) -> None:
        for task in self.tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def test_as_many_as_asked_for_enter_in_order_of_arrival() -> None:
    crowd = Crowd(StreamLimiter(2), 4)
    assert await crowd.settle() == [0, 1]
    crowd.leave[0].set()
    assert await crowd.settle() == [1, 2]
    await crowd.end()


async def test_a_busy_server_halves_the_limit_and_streams_that_succeed_raise_it_again() -> None:
    limiter = StreamLimiter(4)
    crowd = Crowd(limiter, 6)
    await crowd.settle()
    limiter.shrink()
    limiter.shrink()  # a refusal of the same moment counts once
    assert limiter.limit == 2
    crowd.leave[0].set()
    crowd.leave[1].set()
    assert await crowd.settle() == [2, 3]  # nobody new until fewer are inside than the limit
    limiter.grow()
    assert await crowd.settle() == [2, 3, 4]
    await crowd.end()


async def test_the_limit_stays_between_one_and_what_was_asked_for() -> None:
    limiter = StreamLimiter(2)
    for _ in range(5):
        limiter.shrink()
    assert limiter.limit == 1
    for _ in range(5):
        limiter.grow()
    assert limiter.limit == 2


async def test_a_cancelled_task_leaves_its_turn_to_the_next() -> None:
    crowd = Crowd(StreamLimiter(1), 3)
    await crowd.settle()
    crowd.tasks[1].cancel()
    await crowd.settle()
    crowd.leave[0].set()
    assert await crowd.settle() == [2]
    await crowd.end()


async def test_a_turn_given_at_the_moment_of_cancellation_is_passed_on() -> None:
    crowd = Crowd(StreamLimiter(1), 3)
    await crowd.settle()
    crowd.leave[0].set()
    await asyncio.sleep(0)  # 0 has left and admitted 1, which has not run yet
    crowd.tasks[1].cancel()
    assert await crowd.settle() == [2]
    await crowd.end()
