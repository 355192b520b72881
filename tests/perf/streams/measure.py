"""Measures the way of a token from the socket to the journal, and writes docs/performance.md. Run it with `make bench`.

Everything but the delays of stops is CPU time of the measured process, or a ratio of two in one run, because other programs
may use the machine.
"""

import argparse
import contextlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from statistics import mean

from tests.perf.streams.clients import Measured

RATE = 40.0
"""Tokens per second and stream where a server is paced."""

LOADS = (
    (1, RATE, 1),
    (16, RATE, 1),
    (128, RATE, 1),
    (512, RATE, 1),
    (512, RATE, 4),
    (2000, RATE / 4, 1),
    (2000, RATE / 2, 2),
    (2000, RATE, 4),
)
"""Streams, the rate of each, and how many tokens the server writes at once."""

FLAME_GRAPH = Path("docs/images/performance/hot-path.svg")

COMPARED_TOKENS = 1000
"""Of each trace of ours. The paper's have thousands."""

STAGES = {
    "sockets and HTTP": ("aiohttp/", "paced_answer"),
    "events decoded and counted": ("client/reasoner/", "client/usage"),
    "trace and channel": ("runtime/", "journal/recovery", "asyncio/queues"),
    "event loop": ("asyncio/", "selectors"),
    "journal": ("orchestrator/journal/",),
    "core": ("orchestrator/core/",),
    "view": ("orchestrator/report/",),
}
"""Parts of a file's path, the first of which counts."""

WAITS = ("select (selectors.py", "_worker (concurrent/")
"""Where a thread waits, which `py-spy` does not always see that it does."""


@contextlib.contextmanager
def load_server(tokens: int, rate: float, burst: int = 1) -> Iterator[str]:
    """The address of a load server of its own process."""
    command = ["tests.perf.streams.load_server", "--tokens", str(tokens), "--rate", str(rate)]
    process = subprocess.Popen(
        [sys.executable, "-m", *command, "--burst", str(burst)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.communicate()


def measured(
    client: str, streams: int, tokens: int, rate: float, *options: str, burst: int = 1
) -> Measured:
    """What one program measures of itself."""
    with load_server(tokens, rate, burst) as url, tempfile.TemporaryDirectory() as folder:
        answer = subprocess.run(
            [*_client(client, url, folder), "--streams", str(streams), *options],
            stdout=subprocess.PIPE,
            check=True,
        )
    print(
        f"{client}, {streams} streams, {rate:g}/s by {burst}, {options}",
        answer.stdout.decode(),
        end="",
        file=sys.stderr,
    )
    found: Measured = json.loads(answer.stdout)
    return found


def _client(client: str, url: str, folder: str) -> list[str]:
    return [sys.executable, "-m", "tests.perf.streams.clients", client, url, "--folder", folder]


def per_second(found: Measured) -> float:
    return found["events"] / found["cpu"]


def steady(found: Measured) -> float:
    return found["steady_events"] / found["steady_cpu"]


def per_trace(found: Measured, streams: int) -> float:
    """CPU seconds of a trace that no token costs: its connection, request, answer and vote."""
    return (found["cpu"] - found["events"] / steady(found)) / streams


def compared() -> Iterator[str]:
    """512 streams read by each client, one after the other, twice."""
    ours, uvloop, sdk, bare = [], [], [], []
    for _ in range(2):
        ours.append(measured("ours", 512, COMPARED_TOKENS, RATE))
        sdk.append(measured("sdk", 512, 40, RATE))
        uvloop.append(measured("ours", 512, 300, RATE, "--uvloop"))
        bare.append(measured("bare", 512, 120, RATE))
    unit = mean(map(per_second, sdk))
    rows = {
        f"DeepPrune, from the question to the result ({COMPARED_TOKENS:,} tokens a trace)": mean(
            map(per_second, ours)
        ),
        "DeepPrune, while all traces stream": mean(map(steady, ours)),
        "the same on uvloop": mean(map(steady, uvloop)),
        "`openai` SDK, reading alone": unit,
        "asyncio protocol that decodes nothing (`bare`)": mean(map(per_second, bare)),
    }
    yield "| client | tokens per CPU second | of the SDK |"
    yield "|---|---|---|"
    for title, rate in rows.items():
        yield f"| {title} | {rate:,.0f} | {rate / unit:.1f} |"
    cost = mean(per_trace(found, 512) for found in ours)
    yield ""
    yield (
        f"Besides its tokens a trace costs {cost * 1e3:.1f} ms of CPU: its connection, request, answer and vote. "
        f"On uvloop it costs {mean(per_trace(found, 512) for found in uvloop) * 1e3:.1f} ms."
    )


def scaling() -> Iterator[str]:
    yield (
        "| streams | tokens/s of each | tokens a write | tokens/s sent | tokens/s read | tokens per CPU second "
        "| cores | cores of the server |"
    )
    yield "|---|---|---|---|---|---|---|---|"
    for streams, rate, burst in LOADS:
        seconds = 15 if streams > 1000 else 7.5  # opening so many takes a while
        found = measured("ours", streams, round(seconds * rate), rate, burst=burst)
        seconds = found["steady_seconds"]
        server = found["server_cpu"] / found["events"] * found["steady_events"] / seconds
        yield (
            f"| {streams:,} | {rate:g} | {burst} | {streams * rate:,.0f} | {found['steady_events'] / seconds:,.0f} "
            f"| {steady(found):,.0f} | {found['steady_cpu'] / seconds:.2f} | {server:.2f} |"
        )


def stopping() -> Iterator[str]:
    found = measured("ours", 512, 4000, RATE, "--stop")
    yield "| stopped | first closed | median | last closed |"
    yield "|---|---|---|---|"
    yield f"| 20, one by one | | {found['single_median'] * 1e3:.1f} ms | {found['single_last'] * 1e3:.1f} ms |"
    yield (
        f"| {found['together']:.0f} by one command | {found['together_first'] * 1e3:.1f} ms | "
        f"| {found['together_last'] * 1e3:.0f} ms |"
    )


def memory() -> Iterator[str]:
    yield "| tokens of each trace | tokens/s of each | peak MB | bytes of the journal for each token |"
    yield "|---|---|---|---|"
    peaks = []
    for tokens, rate in ((120, RATE), (8000, 0.0)):
        found = measured("ours", 2000, tokens, rate)
        peaks.append((found["events"], found["peak_rss"]))
        pace = f"{rate:g}" if rate else "as many as are read"
        journal = found["journal"] / found["events"]
        yield f"| {tokens:,} | {pace} | {found['peak_rss'] / 1e6:.0f} | {journal:.1f} |"
    (few, small), (many, large) = peaks
    yield ""
    yield f"A further token takes {(large - small) / (many - few):.1f} bytes of the process."


def stages() -> Iterator[str]:
    """Samples of the stacks while all traces stream, by the file that runs; and the same as a flame graph."""
    with load_server(800, RATE) as url, tempfile.TemporaryDirectory() as folder:
        client = subprocess.Popen([*_client("ours", url, folder), "--streams", "512"])
        time.sleep(8)  # until all streams are open
        raw = Path(folder) / "stacks"
        for form, file in (("raw", raw), ("flamegraph", FLAME_GRAPH)):
            spy = ["py-spy", "record", "--rate", "250", "--duration", "4", "--format", form]
            subprocess.run([*spy, "--output", file, "--pid", str(client.pid)], check=True)
        client.wait()
        stacks = raw.read_text().splitlines()
    samples: Counter[str] = Counter()
    for stack, _, count in (line.rpartition(" ") for line in stacks):
        leaf = stack.rpartition(";")[2]
        if any(wait in leaf for wait in WAITS):
            continue
        found = (stage for stage, marks in STAGES.items() if any(mark in leaf for mark in marks))
        samples[next(found, "other")] += int(count)
    yield "| stage | of all samples |"
    yield "|---|---|"
    for stage, seen in samples.most_common():
        yield f"| {stage} | {seen / samples.total():.0%} |"


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
    for part in (stopping, scaling, compared, memory, stages):
        values[part.__name__] = "\n".join(part())
    values["load_after"] = f"{os.getloadavg()[0]:.1f}"
    options.out.write_text(text.format(**values))


if __name__ == "__main__":
    main()
