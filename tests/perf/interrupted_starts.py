"""Ctrl-C at each moment of a program's start: how often a traceback is printed, and whose lines it shows.

python tests/perf/interrupted_starts.py deepprune-orchestrate [--until MILLISECONDS] [--step MILLISECONDS]

An interpreter that is interrupted while it starts prints a traceback of its own, before any line of this project has run.
"""

import argparse
import collections
import re
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

_FRAME = re.compile(r'File "([^"]+)"')
_OURS = re.compile(r"/(?:deepprune|orchestrator|tui|judge_server|bench|nano)/\w")


def outcome(command: list[str], seconds: float) -> str:
    """How a program ends that is interrupted so long after its start."""
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        _, printed = process.communicate(timeout=60)
    text = printed.decode(errors="replace")
    if "init_import_site" in text:
        return "traceback: the interpreter was starting"
    if "Traceback" in text:
        ours = [each for each in _FRAME.findall(text) if _OURS.search(each)]
        return f"traceback: {'lines of this project' if ours else 'the script that pip wrote'}"
    if process.returncode == 0:
        return "over before"
    return "ended by the signal" if process.returncode < 0 else f"exit code {process.returncode}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program")
    parser.add_argument("--until", type=float, default=200.0)
    parser.add_argument("--step", type=float, default=1.0)
    arguments = parser.parse_args()
    command = [str(Path(sysconfig.get_path("scripts")) / arguments.program), "--help"]
    counts: collections.Counter[str] = collections.Counter()
    milliseconds = 0.0
    while milliseconds < arguments.until:
        counts[outcome(command, milliseconds / 1000)] += 1
        milliseconds += arguments.step
    for name, count in counts.most_common():
        sys.stdout.write(f"{count:5} of {counts.total()}  {name}\n")


if __name__ == "__main__":
    main()
