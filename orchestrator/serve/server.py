"""The server as a whole: a client of the reasoner, the application, and the address it listens on."""

import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from orchestrator.api import Client
from orchestrator.config.load import Assigned, resolve
from orchestrator.core.policies import needs_judge
from orchestrator.errors import ConfigError
from orchestrator.runtime.endpoints import Keys
from orchestrator.serve.access import Access
from orchestrator.serve.admission import Admission
from orchestrator.serve.app import ServeApp
from orchestrator.serve.feed import Feed
from orchestrator.serve.metrics import ServeMetrics
from orchestrator.serve.policies import PolicyModels, given_settings
from orchestrator.serve.questions import Questions
from orchestrator.serve.run_pages import RunPages
from orchestrator.serve.spans import exporting_spans
from orchestrator.settings import Settings

__all__ = ["ServeOptions", "served"]

_SHUTDOWN_SECONDS = 1.0
_IDLE_SECONDS = 75.0  # of a connection without a whole head of a request


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """How a server is reached, and its bounds.

    Attributes:
        host: the address to listen on.
        port: the port; with 0 the system chooses one.
        api_key: what clients must send; None asks for none.
        allowed_hosts: further names by which it may be addressed while it has no key.
        allowed_origins: sites whose pages may ask.
        questions_at_once: questions that run side by side.
        queue: questions that may wait.
        max_body: bytes of the largest request.
        max_traces: the most traces that a request may ask for.
        min_temperature: a request's sampling is not used if its temperature is lower; with infinity it never is.
        keep_runs: the folder that receives a run folder per question; None keeps nothing.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    api_key: str | None = field(default=None, repr=False)
    allowed_hosts: Sequence[str] = ()
    allowed_origins: Sequence[str] = ()
    questions_at_once: int = 8
    queue: int = 64
    max_body: int = 4 << 20
    max_traces: int = 512
    min_temperature: float = 0.1
    keep_runs: Path | None = None


@contextlib.asynccontextmanager
async def served(
    settings: Settings,
    keys: Keys,
    options: ServeOptions,
    *,
    local: bool = False,
    announce: Callable[[str], None] = lambda text: None,
) -> AsyncIterator[str]:
    """The address with /v1, as long as the block lasts; leaving it stops every trace.

    Raises:
        ConfigError: the settings lack a server, or the address cannot be used.
        EndpointError: a server cannot be reached or refuses the requests.
    """
    opened = _with_judge(settings)
    async with contextlib.AsyncExitStack() as stack:
        client = await stack.enter_async_context(
            Client(
                settings=opened,
                local=local,
                api_key=keys.reasoner,
                judge_api_key=keys.judge,
                reward_api_key=keys.reward,
                announce=announce,
            )
        )
        admission = Admission(options.questions_at_once, options.queue)
        metrics, feed = ServeMetrics(admission), Feed(admission)
        app = ServeApp(
            client,
            PolicyModels(
                settings,
                client.settings,
                client.endpoints.capabilities.model,
                api=client.endpoints.capabilities.api,
                max_traces=options.max_traces,
                least_temperature=options.min_temperature,
            ),
            Questions(client, admission, metrics, feed, exporting_spans(), options.keep_runs),
            Access(
                key=options.api_key,
                host=options.host,
                allowed_hosts=options.allowed_hosts,
                allowed_origins=options.allowed_origins,
            ),
            metrics,
            extras=(RunPages(options.keep_runs), feed),
            max_body=options.max_body,
        )
        yield await _listening(stack, app.app(), options)


async def _listening(
    stack: contextlib.AsyncExitStack, app: web.Application, options: ServeOptions
) -> str:
    runner = web.AppRunner(
        app,
        handler_cancellation=True,
        shutdown_timeout=_SHUTDOWN_SECONDS,
        keepalive_timeout=_IDLE_SECONDS,
        access_log=None,
    )
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    try:
        await web.TCPSite(runner, options.host, options.port).start()
    except OSError as error:
        raise ConfigError(
            f"{options.host}:{options.port} cannot be used ({error.strerror}): give another --host or --port."
        ) from error
    bound = runner.addresses[0][1]
    host = f"[{options.host}]" if ":" in options.host else options.host
    return f"http://{host}:{bound}/v1"


def _with_judge(settings: Settings) -> Settings:
    """The settings with which servers are opened: those of a policy that uses the judge, if there is a judge."""
    if settings.judge.url is None or needs_judge(settings):
        return settings
    values = {
        path: value for path, value in given_settings(settings) if not path.startswith("policy.")
    }
    values["policy.name"] = "deepprune"
    return resolve(Assigned(path, value, "the settings") for path, value in values.items())
