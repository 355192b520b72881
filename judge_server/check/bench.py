"""The benchmark's commands, run as programs of their own: recording, replays, comparisons.

The packages do not import each other; they share command lines and files.
"""

import subprocess
import sys
from collections.abc import Sequence

from orchestrator.errors import ConfigError, DeepPruneError

__all__ = ["run_bench"]

_WRONG_INPUT, _INTERRUPTED = 2, 130


def run_bench(words: Sequence[str]) -> None:
    """Runs `deepprune-bench` with these words; its progress and its error go to stderr, its result is in files.

    Raises:
        ConfigError, DeepPruneError: it failed, and has said why.
        KeyboardInterrupt: the user interrupted it.
    """
    command = [sys.executable, "-m", "bench.cli.main", *words]
    code = subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode
    if code == _INTERRUPTED:
        raise KeyboardInterrupt
    if code:
        kind = ConfigError if code == _WRONG_INPUT else DeepPruneError
        raise kind(
            f"deepprune-bench {words[0]} failed, see above; correct it, and repeat the command to continue."
        )
