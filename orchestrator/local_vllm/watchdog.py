"""Runs a command, and ends its whole process group when the command ends or the parent process dies.

`python -I watchdog.py PARENT_PID GRACE_SECONDS COMMAND...`, as leader of a new session. The parent may die
without cleaning up (SIGKILL, out of memory), and children of the command may outlive it. The parent's death is
noticed by polling `getppid`: unlike a pipe, this works even if a forked worker keeps file descriptors open.
Only the standard library is imported, so that it starts at once.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time

__all__ = ["main"]

POLL_SECONDS = 0.2


def main() -> None:
    """Waits until the command ends or the parent dies, then kills the group, this process included."""
    parent, grace = int(sys.argv[1]), float(sys.argv[2])
    command = subprocess.Popen(sys.argv[3:])  # noqa: S603 (the caller's own command)
    signal.signal(signal.SIGTERM, lambda number, frame: command.terminate())
    while command.poll() is None and os.getppid() == parent:
        time.sleep(POLL_SECONDS)
    command.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        command.wait(grace)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
