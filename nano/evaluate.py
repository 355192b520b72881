"""Samples traces through vLLM and prints the reasoner's behaviour: `python -m nano.evaluate`.

Every request is for one trace, without a seed, as the orchestrator sends them. Without `--endpoint` a vLLM server is
started for the bundled weights and stopped at the end.
"""

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import aiohttp
from tokenizers import Tokenizer

from nano.questions import FIXED_QUESTIONS, fresh_questions
from orchestrator.core.answer import extract_answer
from orchestrator.core.segment import Segmenter
from orchestrator.local_vllm.server import LocalModel, serve_vllm
from orchestrator.questions import Question, read_questions

__all__ = ["Behaviour", "SampledTrace", "main", "measure_behaviour", "read_sampled_traces"]

WEIGHTS = Path(__file__).parent / "weights" / "reasoner"
MODEL_NAME = "nano-reasoner"
CHECKPOINT_WORDS = 25
REQUEST_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class SampledTrace:
    """One line of the traces file; `tokens` are generated tokens."""

    question_id: str
    question: str
    gold: str
    model: str
    run: str
    trace: int
    text: str
    answer: str | None
    finish_reason: str
    tokens: int


@dataclass(frozen=True, slots=True)
class Behaviour:
    """The rows of the model card's table; fractions in 0..1, lengths in tokens."""

    questions: int
    traces: int
    pass_at_1: float
    cons: float
    same_answer_pair_fraction: float
    median_tokens: float
    mean_tokens: float
    median_checkpoint_tokens: float
    checkpoint_fraction_of_median: float
    finished_before_checkpoint: float
    never_finished: float
    without_answer: float


def main() -> None:
    """Samples traces or reads them from a file, and prints the table."""
    arguments = parse_arguments()
    if arguments.table:
        traces = read_sampled_traces(arguments.table)
    else:
        questions = pick_questions(arguments)
        traces = asyncio.run(sample(questions, arguments))
    tokenizer = Tokenizer.from_file(str(arguments.weights / "tokenizer.json"))
    print_table(measure_behaviour(traces, tokenizer))


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m nano.evaluate", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--endpoint", help="base URL ending in /v1 of a running server")
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="model folder")
    parser.add_argument("--questions", type=Path, default=FIXED_QUESTIONS)
    parser.add_argument(
        "--train-questions", type=int, metavar="N", help="N fresh questions instead"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the fresh questions")
    parser.add_argument("--limit", type=int, help="only the first so many questions")
    parser.add_argument("--traces", type=int, default=64, help="per question")
    parser.add_argument("--max-tokens", type=int, default=1024)
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--streams", type=int, default=64, help="requests at a time")
    parser.add_argument("--out", type=Path, help="add the traces to this file of JSON lines")
    parser.add_argument("--table", type=Path, help="only print the table of a traces file")
    return parser.parse_args()


def pick_questions(arguments: argparse.Namespace) -> list[Question]:
    """Fresh questions, or those of a file."""
    if arguments.train_questions:
        return fresh_questions(arguments.train_questions, arguments.seed)
    return read_questions(arguments.questions)[: arguments.limit]


async def sample(questions: list[Question], arguments: argparse.Namespace) -> list[SampledTrace]:
    """All traces in the order in which they ended; each is written to the file as soon as it ends.

    Traces that are in the file already are not sampled again.
    """
    run = f"seed-{arguments.seed}" if arguments.train_questions else arguments.questions.stem
    limiter = asyncio.Semaphore(arguments.streams)
    timeout = aiohttp.ClientTimeout(total=None, sock_read=REQUEST_SECONDS)
    connector = aiohttp.TCPConnector(limit=0)
    traces = kept_traces(arguments.out)
    done = {(trace.question_id, trace.trace) for trace in traces}
    async with (
        endpoint_of(arguments) as endpoint,
        aiohttp.ClientSession(timeout=timeout, connector=connector) as session,
    ):
        started = time.monotonic()

        async def one(question: Question, number: int) -> SampledTrace:
            async with limiter:
                reply = await ask(session, endpoint, question.question, arguments)
            return to_trace(reply, question, run, number)

        with open_to_append(arguments.out) as file:
            tasks = [
                asyncio.create_task(one(question, number))
                for question in questions
                for number in range(arguments.traces)
                if (question.id, number) not in done
            ]
            total = len(traces) + len(tasks)
            for finished in asyncio.as_completed(tasks):
                traces.append(await finished)
                if file:
                    file.write(json.dumps(asdict(traces[-1]), ensure_ascii=False) + "\n")
                if len(traces) % 500 == 0:
                    seconds = time.monotonic() - started
                    left = seconds / (len(traces) - len(done)) * (total - len(traces))
                    print(f"{len(traces)}/{total} traces, ETA {left:.0f} s", file=sys.stderr)
    return traces


@asynccontextmanager
async def endpoint_of(arguments: argparse.Namespace) -> AsyncIterator[str]:
    """The given endpoint, or that of a server started for it."""
    if arguments.endpoint:
        yield arguments.endpoint.rstrip("/")
        return
    async with serve_vllm(LocalModel(arguments.weights, MODEL_NAME)) as endpoint:
        yield endpoint


@contextmanager
def open_to_append(path: Path | None) -> Iterator[IO[str] | None]:
    """The file to append to, if one is given; makes its folder."""
    if path is None:
        yield None
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8", buffering=1) as file:
        yield file


def kept_traces(path: Path | None) -> list[SampledTrace]:
    """The traces of an earlier, interrupted run; an incomplete last line is removed from the file."""
    if path is None or not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        path.write_text(whole, encoding="utf-8")
    return read_sampled_traces(path)


async def ask(
    session: aiohttp.ClientSession, endpoint: str, question: str, arguments: argparse.Namespace
) -> dict[str, object]:
    """The server's reply to one chat request."""
    body = {
        "model": MODEL_NAME,
        "messages": [{"role": "user", "content": question}],
        "temperature": arguments.temperature,
        "top_p": 1.0,
        "max_tokens": arguments.max_tokens,
    }
    async with session.post(
        f"{endpoint}/chat/completions", json=body, allow_redirects=False
    ) as response:
        response.raise_for_status()
        reply: dict[str, object] = await response.json()
        return reply


def to_trace(reply: dict[str, object], question: Question, run: str, number: int) -> SampledTrace:
    """The trace in a reply."""
    choice = reply["choices"][0]  # type: ignore[index]
    text = choice["message"]["content"] or ""
    return SampledTrace(
        question_id=question.id,
        question=question.question,
        gold=question.gold or "",
        model=MODEL_NAME,
        run=run,
        trace=number,
        text=text,
        answer=extract_answer(text),
        finish_reason=choice["finish_reason"],
        tokens=reply["usage"]["completion_tokens"],  # type: ignore[index]
    )


def read_sampled_traces(path: Path) -> list[SampledTrace]:
    """The traces of a file that this module wrote."""
    with path.open(encoding="utf-8") as file:
        return [SampledTrace(**json.loads(line)) for line in file]


def measure_behaviour(traces: Iterable[SampledTrace], tokenizer: Tokenizer) -> Behaviour:
    """The behaviour of these traces; every question has the same weight in the votes."""
    traces = list(traces)
    by_question: dict[str, list[SampledTrace]] = {}
    for trace in traces:
        by_question.setdefault(trace.question_id, []).append(trace)
    lengths = [trace.tokens for trace in traces]
    prefixes = [prefix for trace in traces if (prefix := checkpoint_prefix(trace.text)) is not None]
    checkpoints = [len(encoding.ids) for encoding in tokenizer.encode_batch(prefixes)]
    median = statistics.median(lengths)
    checkpoint = statistics.median(checkpoints) if checkpoints else median
    never = sum(trace.finish_reason == "length" for trace in traces)
    return Behaviour(
        questions=len(by_question),
        traces=len(traces),
        pass_at_1=statistics.mean(trace.answer == trace.gold for trace in traces),
        cons=statistics.mean(vote(group) == group[0].gold for group in by_question.values()),
        same_answer_pair_fraction=statistics.mean(
            fraction
            for group in by_question.values()
            if (fraction := same_answer_fraction(group)) is not None
        ),
        median_tokens=median,
        mean_tokens=statistics.mean(lengths),
        median_checkpoint_tokens=checkpoint,
        checkpoint_fraction_of_median=checkpoint / median,
        finished_before_checkpoint=1 - len(prefixes) / len(traces),
        never_finished=never / len(traces),
        without_answer=sum(trace.answer is None for trace in traces) / len(traces),
    )


def checkpoint_prefix(text: str) -> str | None:
    """The trace up to its checkpoint; None if it has too few reasoning words."""
    segmenter = Segmenter(words=CHECKPOINT_WORDS)
    cut = segmenter.feed(text, 0)
    return None if cut is None else text[: cut.chars]


def vote(traces: list[SampledTrace]) -> str | None:
    """The most frequent answer; the first to appear wins a tie."""
    counts = Counter(trace.answer for trace in traces if trace.answer is not None)
    return counts.most_common(1)[0][0] if counts else None


def same_answer_fraction(traces: list[SampledTrace]) -> float | None:
    """Fraction of pairs with equal answers, among traces that have an answer; None without a pair."""
    counts = Counter(trace.answer for trace in traces if trace.answer is not None)
    answered = sum(counts.values())
    if answered < 2:
        return None
    return sum(count * (count - 1) for count in counts.values()) / (answered * (answered - 1))


def print_table(behaviour: Behaviour) -> None:
    """The table of the model card."""
    print("| what | measured |\n|---|---|")
    for name, value in asdict(behaviour).items():
        shown = f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"
        print(f"| {name.replace('_', ' ')} | {shown} |")


if __name__ == "__main__":
    main()
