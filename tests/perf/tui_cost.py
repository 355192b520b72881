"""Measures what the TUI costs, in a pseudo-terminal of 200 x 60 cells. Run it with `make bench-tui`.

1. 512 traces at 40 tokens/s each are replayed in real time, on average at one and a half times the speed, because a key
   changes the speed twice a second. Printed are the fraction of a core, beside that of the same replay without a
   screen, and the time from a key to its effect on the terminal.
2. A journal of 2,000 traces is opened. Printed is the time until its first screen is drawn.

Fractions of a core are CPU time, so they are meaningful on a busy machine; the latencies are not.
"""

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

from orchestrator.core.events import Event, RunStarted, TokensArrived, TraceStarted
from orchestrator.journal.journal import JournalWriter, read_journal
from orchestrator.settings import Settings
from tests.support.capabilities import capabilities
from tui.sources.player import Player

SIZE = (200, 60)
SECONDS = 15.0
WORDS = ("so ", "maybe ", "wait, ", "3*4=12 ", "that is ", "hmm ", "12-5=7 ", "because ")


class Terminal:
    """A program in a pseudo-terminal."""

    def __init__(self, *command: str) -> None:
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", SIZE[1], SIZE[0], 0, 0))
        environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env=environment, close_fds=True
        )
        os.close(slave)
        self._master = master
        self.written = 0

    def read(self, seconds: float) -> bytes:
        """The next output within so many seconds; b"" for none."""
        if not select.select([self._master], [], [], seconds)[0]:
            return b""
        data = os.read(self._master, 1 << 16)
        self.written += len(data)
        return data

    def until(self, text: bytes, seconds: float) -> float:
        """Reads until `text` has been written; returns the seconds it took."""
        begun, seen = time.monotonic(), b""
        while text not in seen:
            if time.monotonic() - begun > seconds:
                raise TimeoutError(f"{text!r} was not written within {seconds} s")
            seen = seen[-4096:] + self.read(0.2)
        return time.monotonic() - begun

    def press(self, key: str) -> None:
        os.write(self._master, key.encode())

    def cpu(self) -> float:
        """CPU seconds that the program has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        self.process.terminate()
        self.process.wait()
        os.close(self._master)


def write_journal(folder: Path, traces: int, tokens: int, rate: float) -> None:
    """Writes a run of `traces` that generate `tokens` each at `rate` tokens/s, side by side."""
    settings = Settings.model_validate({"policy": {"traces": traces}})
    with JournalWriter.create(folder) as journal:
        journal.write(
            RunStarted(
                at=0.0,
                question_id="perf",
                question="How many?",
                gold=None,
                planned=traces,
                settings=settings,
                capabilities=capabilities(),
            )
        )
        for trace in range(traces):
            journal.write(_opened(trace))
        for number in range(1, tokens + 1):
            for trace in range(traces):
                at = round((number + trace / traces) / rate, 6)
                text = WORDS[(number * 7 + trace) % len(WORDS)]
                journal.write(TokensArrived(at=at, trace=trace, text=text, tokens=number))


def _opened(trace: int) -> Event:
    return TraceStarted(
        at=0.0, trace=trace, endpoint="http://gpu/v1", prompt_tokens=9, cached_prompt_tokens=0
    )


def measure_replay(folder: Path) -> None:
    """Prints the fraction of a core, with and without a screen, and the latency of keys."""
    terminal = Terminal(sys.executable, "-m", "tui.cli", str(folder))
    terminal.until(b"traces", 120)
    latencies: list[float] = []
    cpu, wall, bytes_before = terminal.cpu(), time.monotonic(), terminal.written
    while time.monotonic() - wall < SECONDS * 0.5:
        key, answer = ("]", b" 2x") if len(latencies) % 2 == 0 else ("[", b" 1x")
        terminal.press(key)
        latencies.append(terminal.until(answer, 10))
        pause = time.monotonic() + 0.23
        while time.monotonic() < pause:
            terminal.read(0.02)
    seconds = time.monotonic() - wall
    fraction = (terminal.cpu() - cpu) / seconds
    written = (terminal.written - bytes_before) / seconds
    terminal.close()
    bare = headless_fraction(folder, 1.5 * seconds) * 1.5
    latencies.sort()
    print(f"512 traces x 60 tokens/s, {seconds:.0f} s: {fraction:.1%} of a core with the screen,")
    print(f"  {bare:.1%} for the same replay without; {fraction - bare:.1%} is the screen's")
    print(
        f"  key to its answer on the terminal: median {latencies[len(latencies) // 2] * 1000:.0f} ms, ",
        end="",
    )
    print(f"p95 {latencies[int(len(latencies) * 0.95)] * 1000:.0f} ms of {len(latencies)} keys")
    print(f"  {written / 1000:.0f} kB/s to the terminal")


def headless_fraction(folder: Path, seconds: float) -> float:
    """The fraction of a core that folding the same events takes."""
    player = Player(list(read_journal(folder)))
    begun = time.process_time()
    player.seek(seconds)
    return (time.process_time() - begun) / seconds


def measure_opening(folder: Path) -> None:
    """Prints the time until the screen of a large journal is drawn, and of a small one."""
    demo = Path(__file__).parents[2] / "nano" / "demo-run"
    for name, run in (("the demo run", demo), ("2,000 traces", folder)):
        terminal = Terminal(sys.executable, "-m", "tui.cli", str(run))
        seconds = terminal.until(b"traces", 120)
        lines = sum(1 for _ in (run / "journal.jsonl").open("rb"))
        print(
            f"{name} ({lines:,} lines): screen after {seconds:.1f} s, {terminal.cpu():.1f} s of CPU"
        )
        terminal.close()


def main() -> None:
    """Prints all measurements."""
    with tempfile.TemporaryDirectory() as temporary:
        stream, many = Path(temporary) / "stream", Path(temporary) / "many"
        write_journal(stream, 512, int(40 * SECONDS), 40.0)
        write_journal(many, 2000, 160, 40.0)
        measure_opening(many)
        measure_replay(stream)


if __name__ == "__main__":
    main()
