import asyncio
import contextlib

from orchestrator.runtime.limiter import StreamLimiter


class Crowd:
    """Tasks that each want a slot and hold it until told to leave."""

    def __init__(self, limiter, size) -> None:
        self.inside = []
        self.leave = [asyncio.Event() for _ in range(size)]
        self.tasks = [asyncio.create_task(self._visit(limiter, n)) for n in range(size)]

    async def _visit(self, limiter, number) -> None:
        async with limiter.one():
            self.inside.append(number)
            try:
                await self.leave[number].wait()
            finally:
                self.inside.remove(number)

    async def settle(self):
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


async def test_a_busy_server_halves_the_room_and_streams_that_go_well_give_it_back() -> None:
    limiter = StreamLimiter(4)
    crowd = Crowd(limiter, 6)
    await crowd.settle()
    limiter.shrink()
    limiter.shrink()  # of the same bunch
    assert limiter.limit == 2
    crowd.leave[0].set()
    crowd.leave[1].set()
    assert await crowd.settle() == [2, 3]  # nobody new until the room is below its limit
    limiter.grow()
    assert await crowd.settle() == [2, 3, 4]
    await crowd.end()


async def test_the_room_never_falls_below_one_or_grows_beyond_what_was_asked_for() -> None:
    limiter = StreamLimiter(2)
    for _ in range(5):
        limiter.shrink()
    assert limiter.limit == 1
    for _ in range(5):
        limiter.grow()
    assert limiter.limit == 2


async def test_who_gives_up_waiting_leaves_the_turn_to_the_next() -> None:
    crowd = Crowd(StreamLimiter(1), 3)
    await crowd.settle()
    crowd.tasks[1].cancel()
    await crowd.settle()
    crowd.leave[0].set()
    assert await crowd.settle() == [2]
    await crowd.end()


async def test_a_turn_given_at_the_moment_of_giving_up_is_passed_on() -> None:
    crowd = Crowd(StreamLimiter(1), 3)
    await crowd.settle()
    crowd.leave[0].set()
    await asyncio.sleep(0)  # 0 has left and admitted 1, which has not run yet
    crowd.tasks[1].cancel()
    assert await crowd.settle() == [2]
    await crowd.end()
