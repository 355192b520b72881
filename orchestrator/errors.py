"""Every error of this project, in one tree, with its exit code; the clients translate foreign exceptions into these.

DeepPruneError               exit code 1: the run failed
├── ConfigError              exit code 2: a flag, a setting or a key is wrong
├── DatasetError             exit code 2: a questions file is wrong
├── EndpointError            exit code 1: a server failed or cannot be used
│   ├── EndpointUnreachable  exit code 2 at start: no server answers at this address
│   ├── EndpointRejected     exit code 2: the server refuses every such request (401, 403, 404, 400)
│   │   └── QuestionRefused  exit code 2: it refuses this question, such as one longer than the context
│   ├── EndpointBusy         429 or 503: try again, after `retry_after` seconds if the server says so
│   ├── ServersAway          they were away for longer than a run waits: it can be resumed
│   └── StreamBroken         an answer was cut off, stalled or is invalid
├── JudgeError               no usable verdict: nothing is pruned
│   └── PairTooLong          this pair is longer than the judge's context
├── JournalError             exit code 1: the journal cannot be written or read
├── EventOutOfTurn           exit code 1: an event that is not possible in the state of its trace
└── LocalServerError         exit code 1: a local vLLM server could not be started

Each message is one plain sentence that ends with the remedy; the CLI prints it as it is. An interrupted program
ends with `EXIT_INTERRUPTED`.
"""

__all__ = [
    "EXIT_INTERRUPTED",
    "ConfigError",
    "DatasetError",
    "DeepPruneError",
    "EndpointBusy",
    "EndpointError",
    "EndpointRejected",
    "EndpointUnreachable",
    "EventOutOfTurn",
    "JournalError",
    "JudgeError",
    "LocalServerError",
    "PairTooLong",
    "QuestionRefused",
    "ServersAway",
    "StreamBroken",
    "first_error",
    "is_of_one_request",
]

EXIT_INTERRUPTED = 130
"""The exit code after Ctrl-C."""


class DeepPruneError(Exception):
    """Root of the tree; `exit_code` is what the command line ends with."""

    exit_code = 1


class ConfigError(DeepPruneError):
    """A flag, setting, environment variable or key is wrong or missing."""

    exit_code = 2


class DatasetError(DeepPruneError):
    """A questions file cannot be used; the message names the file and the line."""

    exit_code = 2


class EndpointError(DeepPruneError):
    """A server failed or cannot be used."""


class ServersAway(EndpointError):
    """The servers were away for as long as a run waits; its journal is kept, so that it can be resumed."""


class EndpointUnreachable(EndpointError):
    """No server answers at this address."""

    exit_code = 2


class EndpointRejected(EndpointError):
    """The server refuses the request, and will refuse it again; `status` is the HTTP status."""

    exit_code = 2

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class QuestionRefused(EndpointRejected):
    """The server cannot take this question, and others it can; the question's report says the same."""


class EndpointBusy(EndpointError):
    """The server asks to be asked later (429 or 503); `retry_after` is in seconds, None if it does not say when."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class StreamBroken(EndpointError):
    """An answer was cut off, stalled or is invalid; `boundary` is "server" or "decode"."""

    def __init__(self, message: str, boundary: str = "server") -> None:
        super().__init__(message)
        self.boundary = boundary


class JudgeError(DeepPruneError):
    """The judge gave no usable verdict."""


class PairTooLong(JudgeError):
    """The judge answers, and refuses this pair because it is longer than its context."""


class JournalError(DeepPruneError):
    """The journal cannot be written or read."""


class EventOutOfTurn(DeepPruneError):
    """The core was fed an event that cannot come now: a fault of the program, or of a journal that was edited."""


class LocalServerError(DeepPruneError):
    """A local vLLM server could not be started."""


def is_of_one_request(error: BaseException) -> bool:
    """Whether a server refuses one request, and may serve another one."""
    return isinstance(error, EndpointRejected) and error.status in (400, 413, 422)


def first_error(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error to show for a group: one of ours if there is one, else the first."""
    leaves = list(_leaves(group))
    return next((leaf for leaf in leaves if isinstance(leaf, DeepPruneError)), leaves[0])


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    for error in group.exceptions:
        found.extend(_leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    return found
