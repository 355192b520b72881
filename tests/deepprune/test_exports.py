"""The public names, and what importing them costs."""

import subprocess
import sys

import deepprune
from orchestrator.core import commands, events

NAMES = [
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


def test_the_exported_names_are_these_and_all_exist() -> None:
    assert deepprune.__all__ == NAMES
    assert all(hasattr(deepprune, name) for name in NAMES)


def test_every_event_and_command_is_exported() -> None:
    types = {*events.Event.__args__, *commands.Command.__args__}
    assert {each.__name__ for each in types} <= set(NAMES)


def test_importing_the_package_loads_no_heavy_library() -> None:
    heavy = [
        "openai",
        "math_verify",
        "sympy",
        "textual",
        "rich",
        "torch",
        "transformers",
        "scipy.stats",
        "matplotlib",
        "pebble",
    ]
    code = f"import sys, deepprune; print([name for name in {heavy!r} if name in sys.modules])"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"
