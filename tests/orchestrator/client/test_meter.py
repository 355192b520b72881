import pytest

from orchestrator.client.server_counters import Meter, Metered, ServerCounters


class Server:
    """Gives its counters one after the other, and the last one for ever."""

    def __init__(self, *counters) -> None:
        self._counters = list(counters)

    async def counters(self):
        return self._counters.pop(0) if len(self._counters) > 1 else self._counters[0]


def counters(generated, cached=0, running=0):
    return ServerCounters(
        generation_tokens=generated,
        prompt_tokens=0,
        prompt_tokens_cached=cached,
        running=running,
    )


async def read(client):
    meter = Meter(client)
    await meter.start()
    return await meter.stop()


async def test_counts_what_came_between_start_and_stop() -> None:
    assert await read(Server(counters(100, 7), counters(130, 9))) == Metered(30, 2)


async def test_waits_until_the_server_has_no_request_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.client.server_counters._POLL_SECONDS", 0.0)
    server = Server(counters(0), counters(5, running=2), counters(8))
    assert (await read(server)).generated == 8


async def test_takes_what_there_is_when_the_server_stays_busy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("orchestrator.client.server_counters._IDLE_SECONDS", -1.0)
    assert (await read(Server(counters(0), counters(5, running=2)))).generated == 5


async def test_a_server_without_counters_is_not_metered() -> None:
    assert await read(None) == Metered(None, None)
    assert await read(Server(None)) == Metered(None, None)
    assert await read(Server(counters(1), None)) == Metered(None, None)


async def test_a_server_that_does_not_count_its_cache_says_nothing_about_it() -> None:
    assert await read(Server(counters(1, None), counters(2, None))) == Metered(1, None)
