"""Parallel reasoning traces from your own vLLM servers, pruned live, with an exact bill.

```python
import deepprune

async with deepprune.Client("http://gpu:8000/v1", judge="http://judge:8001/v1") as client:
    result = await client.ask("How many primes are there below 100?")

result = deepprune.ask("How many primes are there below 100?", "http://gpu:8000/v1")  # without asyncio
```
"""

from orchestrator import __version__
from orchestrator.api import Client, ask
from orchestrator.core.commands import (
    AskJudge,
    Command,
    FinishRun,
    HoldLaunches,
    PauseTrace,
    ProbeTrace,
    ReleaseLaunches,
    ResumeTrace,
    RewardTrace,
    StartTrace,
    StopTrace,
)
from orchestrator.core.events import (
    CheckpointReached,
    ClusterOpened,
    Event,
    JudgeFailed,
    PairsJudged,
    ProbeFailed,
    ReplicaDown,
    ReplicaUp,
    RewardFailed,
    RunFinished,
    RunInterrupted,
    RunResumed,
    RunStarted,
    TokensArrived,
    TraceFailed,
    TraceFinished,
    TraceJoined,
    TracePaused,
    TraceProbed,
    TraceResumed,
    TraceRewarded,
    TraceStarted,
    TraceStopped,
    TraceUnjudged,
    TraceWarned,
    UserCommandReceived,
    VoteCast,
    VoteWeighed,
)
from orchestrator.core.policies import Policy, Step
from orchestrator.errors import (
    ConfigError,
    DatasetError,
    DeepPruneError,
    EndpointBusy,
    EndpointError,
    EndpointRejected,
    EndpointUnreachable,
    JournalError,
    JudgeError,
    LocalServerError,
    ServersAway,
    StreamBroken,
)
from orchestrator.questions import Question, read_questions
from orchestrator.report.report import Report
from orchestrator.report.result import Result, TraceResult, Usage
from orchestrator.report.view import RunView
from orchestrator.runtime.event_stream import EventStream
from orchestrator.runtime.question_run import QuestionRun
from orchestrator.settings import Settings

__all__ = [
    "AskJudge",
    "CheckpointReached",
    "Client",
    "ClusterOpened",
    "Command",
    "ConfigError",
    "DatasetError",
    "DeepPruneError",
    "EndpointBusy",
    "EndpointError",
    "EndpointRejected",
    "EndpointUnreachable",
    "Event",
    "EventStream",
    "FinishRun",
    "HoldLaunches",
    "JournalError",
    "JudgeError",
    "JudgeFailed",
    "LocalServerError",
    "PairsJudged",
    "PauseTrace",
    "Policy",
    "ProbeFailed",
    "ProbeTrace",
    "Question",
    "QuestionRun",
    "ReleaseLaunches",
    "ReplicaDown",
    "ReplicaUp",
    "Report",
    "Result",
    "ResumeTrace",
    "RewardFailed",
    "RewardTrace",
    "RunFinished",
    "RunInterrupted",
    "RunResumed",
    "RunStarted",
    "RunView",
    "ServersAway",
    "Settings",
    "StartTrace",
    "Step",
    "StopTrace",
    "StreamBroken",
    "TokensArrived",
    "TraceFailed",
    "TraceFinished",
    "TraceJoined",
    "TracePaused",
    "TraceProbed",
    "TraceResult",
    "TraceResumed",
    "TraceRewarded",
    "TraceStarted",
    "TraceStopped",
    "TraceUnjudged",
    "TraceWarned",
    "Usage",
    "UserCommandReceived",
    "VoteCast",
    "VoteWeighed",
    "__version__",
    "ask",
    "read_questions",
]
