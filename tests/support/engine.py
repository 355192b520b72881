"""An engine's counters, as vLLM shows them on its /metrics page."""

from dataclasses import dataclass
from typing import Any

from aiohttp import web

__all__ = ["Engine"]


@dataclass
class Engine:
    """The counters of one engine; a test moves them as it likes."""

    generated: int = 0
    prompts: int = 0
    cached: int = 0
    running: int = 0
    waiting: int = 0
    finished: int = 0
    """Requests that nobody has aborted."""

    async def page(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        """The answer of /metrics."""
        values = {
            "generation_tokens_total": self.generated,
            "prompt_tokens_total": self.prompts,
            "prompt_tokens_cached_total": self.cached,
            "num_requests_running": self.running,
            "num_requests_waiting": self.waiting,
        }
        lines = [f'vllm:{name}{{engine="0"}} {value}' for name, value in values.items()]
        lines += [
            f'vllm:request_success_total{{finished_reason="{reason}"}} {count}'
            for reason, count in {"length": self.finished, "abort": 7}.items()
        ]
        return web.Response(text="\n".join(lines) + "\n")
