"""Measures the way of a token from the socket to the journal, and writes docs/performance.md. Run it with `make bench`.

Everything is CPU time of the measured process, or a ratio of two in one run, because other programs may use the machine.
"""

import argparse
import contextlib
import json
import os
import platform
import pstats
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from statistics import mean

from tests.perf.streams.clients import Measured

RATE = 40.0
"""Tokens per second and stream where a server is paced."""

STREAMS = (1, 16, 128, 512, 2000)

STAGES = {
    "socket and HTTP (aiohttp, asyncio)": (
        "/aiohttp/",
        "/asyncio/",
        "/selectors.py",
        "paced_answer",
        "posix",
        "epoll",
        "_socket",
    ),
    "events decoded and counted": ("/client/reasoner/", "/client/usage", "msgspec"),
    "trace and channel": ("/runtime/", "/journal/recovery"),
    "journal": ("/journal/", "_io."),
    "core": ("/core/",),
    "view": ("/report/",),
}


@contextlib.contextmanager
def load_server(tokens: int, rate: float) -> Iterator[str]:
    """The address of a load server of its own process."""
    command = ["tests.perf.streams.load_server", "--tokens", str(tokens), "--rate", str(rate)]
    process = subprocess.Popen([sys.executable, "-m", *command], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.communicate()


def measured(client: str, streams: int, tokens: int, rate: float, *options: str) -> Measured:
    """What one program measures of itself."""
    with load_server(tokens, rate) as url, tempfile.TemporaryDirectory() as folder:
        command = ["-m", "tests.perf.streams.clients", client, url, "--folder", folder]
        answer = subprocess.run(
            [sys.executable, *command, "--streams", str(streams), *options],
            stdout=subprocess.PIPE,
            check=True,
        )
    print(
        f"{client}, {streams} streams, {options}", answer.stdout.decode(), end="", file=sys.stderr
    )
    found: Measured = json.loads(answer.stdout)
    return found


def per_second(found: Measured) -> float:
    return found["events"] / found["cpu"]


def steady(found: Measured) -> float:
    return found["steady_events"] / found["steady_cpu"]


def compared() -> Iterator[str]:
    """512 streams read by three clients, one after the other, twice."""
    tokens = {"ours": 300, "sdk": 40, "bare": 120}
    found = {
        name: [measured(name, 512, count, RATE) for _ in range(2)] for name, count in tokens.items()
    }
    sdk = mean(map(per_second, found["sdk"]))
    rows = {
        "DeepPrune, from the question to the result": mean(map(per_second, found["ours"])),
        "DeepPrune, while all traces stream": mean(map(steady, found["ours"])),
        "`openai` SDK, reading alone": sdk,
        "asyncio protocol that decodes nothing": mean(map(per_second, found["bare"])),
    }
    yield "| client | tokens per CPU second | of the SDK |"
    yield "|---|---|---|"
    for title, rate in rows.items():
        yield f"| {title} | {rate:,.0f} | {rate / sdk:.1f} |"


def scaling() -> Iterator[str]:
    yield "| streams | tokens/s sent | tokens/s read | tokens per CPU second | cores | `bare`: tokens per CPU second |"
    yield "|---|---|---|---|---|---|"
    for streams in STREAMS:
        found = measured("ours", streams, 240 if streams > 1000 else 300, RATE)
        bare = measured("bare", streams, 80, RATE)
        seconds = found["steady_seconds"]
        yield (
            f"| {streams:,} | {streams * RATE:,.0f} | {found['steady_events'] / seconds:,.0f} | {steady(found):,.0f} "
            f"| {found['steady_cpu'] / seconds:.2f} | {per_second(bare):,.0f} |"
        )


def stopping() -> Iterator[str]:
    found = measured("ours", 512, 4000, RATE, "--stop")
    yield (
        f"{found['stopped']:.0f} streams were stopped by one command. From the command until the server saw the first one "
        f"closed: {found['first'] * 1000:.1f} ms; the last one: {found['last'] * 1000:.0f} ms."
    )


def memory() -> Iterator[str]:
    found = measured("ours", 2000, 120, RATE)
    journal = found["journal"] / found["events"]
    yield (
        f"2,000 streams that had 120 tokens each took {found['peak_rss'] / 1e6:.0f} MB at most, the program itself included, "
        f"and {journal:.1f} bytes of the journal for each token. Longer traces were not measured."
    )


def stages() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "profile"
        found = measured("ours", 512, 200, RATE, "--profile", str(path))
        profile = pstats.Stats(str(path))
    seconds: Counter[str] = Counter()
    for (file, _, name), (_, _, own, _, _) in profile.stats.items():  # type: ignore[attr-defined]
        place = f"{file} {name}"
        stage = next(
            (s for s, marks in STAGES.items() if any(m in place for m in marks)),
            "built-in functions, imports and other",
        )
        seconds[stage] += own
    total = sum(seconds.values())
    yield "| stage | fraction | µs per token under the profiler |"
    yield "|---|---|---|"
    for stage, own in seconds.most_common():
        yield f"| {stage} | {own / total:.0%} | {own / found['events'] * 1e6:.2f} |"


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if "model name" in line), "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/performance.md"))
    options = parser.parse_args()
    text = (Path(__file__).parent / "performance.md").read_text()
    packages = ", ".join(
        f"{name} {version(name)}" for name in ("aiohttp", "msgspec", "openai", "uvloop")
    )
    values = {
        "machine": f"{processor()}, {os.cpu_count()} cores, Python {platform.python_version()}, {packages}",
        "load": f"{os.getloadavg()[0]:.1f}",
    }
    for part in (compared, scaling, stopping, memory, stages):
        values[part.__name__] = "\n".join(part())
    options.out.write_text(text.format(**values))


if __name__ == "__main__":
    main()
