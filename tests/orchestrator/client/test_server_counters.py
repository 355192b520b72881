"""The counters on a Prometheus page."""

from orchestrator.client.server_counters import ServerCounters, parse_counters

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
