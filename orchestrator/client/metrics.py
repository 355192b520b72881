"""A vLLM server's own counters, read from its Prometheus page: the check of our bill."""

import msgspec

from orchestrator.client.http import HttpClient
from orchestrator.errors import EndpointError

__all__ = ["ServerCounters", "parse_counters", "read_counters"]

_NAMES = {
    "vllm:generation_tokens_total": "generation_tokens",
    "vllm:prompt_tokens_total": "prompt_tokens",
    "vllm:prompt_tokens_cached_total": "prompt_tokens_cached",
    "vllm:num_requests_running": "running",
    "vllm:num_requests_waiting": "waiting",
}


class ServerCounters(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens since the server started, and requests in it now, summed over its engines.

    `prompt_tokens_cached` is None where the server does not count them.
    """

    generation_tokens: int
    prompt_tokens: int
    prompt_tokens_cached: int | None = None
    running: int = 0
    waiting: int = 0


def parse_counters(page: str) -> ServerCounters | None:
    """The counters on a /metrics page; None when it is not vLLM's."""
    from prometheus_client.parser import text_string_to_metric_families

    sums: dict[str, int] = {}
    try:
        for family in text_string_to_metric_families(page):
            for sample in family.samples:
                if (field := _NAMES.get(sample.name)) is not None:
                    sums[field] = sums.get(field, 0) + int(sample.value)
    except (ValueError, OverflowError):
        return None
    if "generation_tokens" not in sums or "prompt_tokens" not in sums:
        return None
    return ServerCounters(**sums)


async def read_counters(http: HttpClient) -> ServerCounters | None:
    """The server's counters now; None where it shows none."""
    try:
        return parse_counters(await http.text(f"{http.address.root}/metrics"))
    except EndpointError:
        return None
