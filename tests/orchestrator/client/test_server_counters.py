"""The counters on a Prometheus page, and their difference over a run."""

import pytest

from orchestrator.client.server_counters import Meter, Metered, ServerCounters, parse_counters

PAGE = """\
# HELP vllm:generation_tokens_total Number of generation tokens processed.
# TYPE vllm:generation_tokens_total counter
vllm:generation_tokens_total{engine="0",model_name="a b}c"} 1.234567e+06
vllm:generation_tokens_total{engine="1",model_name="a b}c"} 3.0
# TYPE vllm:prompt_tokens_total counter
vllm:prompt_tokens_total{engine="0",model_name="m"} 10.0
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="m"} 2.0
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{engine="0",model_name="m"} 1.0
"""


def test_counters_are_summed_over_engines() -> None:
    assert parse_counters(PAGE) == ServerCounters(
        generation_tokens=1_234_570,
        prompt_tokens=10,
        prompt_tokens_cached=None,
        running=2,
        waiting=1,
    )


def test_cached_prompt_tokens_are_read_where_they_are_counted() -> None:
    counters = parse_counters(PAGE + 'vllm:prompt_tokens_cached_total{engine="0"} 4.0\n')
    assert counters is not None
    assert counters.prompt_tokens_cached == 4


def test_another_servers_page_has_no_counters() -> None:
    assert parse_counters("# TYPE up gauge\nup 1\n") is None
    assert parse_counters("<html>hello</html>") is None


class Server:
    """Gives its counters one after the other, and then the last ones again and again."""

    counter_urls: frozenset[str] = frozenset()

    def __init__(self, *counters: ServerCounters | None) -> None:
        self._counters = list(counters)

    async def counters(self) -> ServerCounters | None:
        return self._counters.pop(0) if len(self._counters) > 1 else self._counters[0]


def counters(generated: int, cached: int | None = 0, running: int = 0) -> ServerCounters:
    return ServerCounters(
        generation_tokens=generated,
        prompt_tokens=0,
        prompt_tokens_cached=cached,
        running=running,
    )


async def metered(client: Server | None) -> Metered:
    meter = Meter(client)
    await meter.start()
    return await meter.stop()


async def test_a_meter_counts_the_tokens_between_start_and_stop() -> None:
    assert await metered(Server(counters(100, 7), counters(130, 9))) == Metered(30, 2)


async def test_a_meter_waits_until_the_server_has_no_request_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("orchestrator.client.server_counters._POLL_SECONDS", 0.0)
    server = Server(counters(0), counters(5, running=2), counters(8))
    assert (await metered(server)).generated == 8


async def test_a_meter_reads_a_busy_server_after_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("orchestrator.client.server_counters._IDLE_SECONDS", -1.0)
    assert (await metered(Server(counters(0), counters(5, running=2)))).generated == 5


async def test_a_server_without_counters_is_not_metered() -> None:
    assert await metered(None) == Metered(None, None)
    assert await metered(Server(None)) == Metered(None, None)
    assert await metered(Server(counters(1), None)) == Metered(None, None)


async def test_a_server_that_does_not_count_its_cached_tokens_leaves_them_unknown() -> None:
    assert await metered(Server(counters(1, None), counters(2, None))) == Metered(1, None)
