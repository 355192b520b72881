"""A served judge says what the local one says: all kinds of judge, in every dialect that the client speaks."""

import asyncio
import json
import shutil
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from judge_server.cli.main import main
from judge_server.data.pairs import Pair
from judge_server.data.traces import TraceRow
from judge_server.data.truncation import TruncationRules, cut_trace
from judge_server.models.load import load_judge
from nano.task import make_problem
from nano.teacher import write_trace
from orchestrator.client.judge.client import JudgeClient
from orchestrator.client.reward import RewardClient
from orchestrator.config.shipped import judge_spec
from orchestrator.core.embedding_head import EmbeddingHead
from orchestrator.core.judging import JudgeSpec, pair_prompt
from orchestrator.local_vllm.server import nano_model
from orchestrator.settings import JudgeDialect, JudgeSettings, RewardSettings
from tests.support.command import console_script

import torch  # isort: skip
from transformers import (  # isort: skip
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    PreTrainedTokenizerFast,
)

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(600, func_only=True)]

LABELS = {"identical": 0, "not identical": 1}
CLASSIFIER = """
name: tiny
kind: classification
model: tiny
instruction: ""
query: "{question} Solution A: {new} [SEP] "
item: "Solution B: {member}"
max_segment_chars: 200
"""


def segments(seed: int, count: int) -> tuple[str, list[str]]:
    """A question and the segments of several traces of it."""
    rng = Random(seed)
    problem = make_problem(rng)
    rows = [
        TraceRow("q", problem.text, write_trace(problem, rng).text, answer="?")
        for _ in range(count)
    ]
    return problem.text, [cut.segment for row in rows if (cut := cut_trace(row, TruncationRules()))]


@pytest.mark.parametrize("dialect", ["generative_scoring", "completions"])
async def test_served_probabilities_are_the_local_ones_to_a_thousandth(
    judge_url: str, dialect: JudgeDialect
) -> None:
    spec = judge_spec("nano")
    local = load_judge(nano_model("judge"), spec)
    settings = JudgeSettings(url=judge_url, dialect=dialect, timeout_seconds=300)
    spread = []
    async with JudgeClient(settings, spec, None) as client:
        await client.probe()
        for seed in range(8):
            question, (new, *members) = segments(seed, 9)
            served = (await client.score(question=question, new=new, members=members)).probabilities
            expected = local.scores([Pair("q", question, new, member, True) for member in members])
            assert served == pytest.approx(expected, abs=1e-3)
            spread += expected
    assert max(spread) - min(spread) > 0.3  # the pairs are not all alike to it


def traces_file(path: Path) -> Path:
    """Eight traces of each of six questions, with the answers that they gave."""
    with path.open("w") as lines:
        for seed in range(6):
            rng = Random(seed)
            problem = make_problem(rng)
            for _ in range(8):
                row = {"question_id": f"q{seed}", "question": problem.text}
                lines.write(json.dumps(row | {"text": write_trace(problem, rng).text}) + "\n")
    return path


async def evaluated(
    capsys: pytest.CaptureFixture[str], traces: Path, url: str, folder: Path, *flags: object
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What `deepprune-judge evaluate` prints of the judge at `url` and of the one in `folder`."""
    words = ["--traces", traces, "--judge", url, "--judge", folder, "--split", "all", "--json"]
    capsys.readouterr()
    code = await asyncio.to_thread(main, ["evaluate", *map(str, [*words, *flags])])
    captured = capsys.readouterr()
    assert code == 0, captured.err
    served, local = (json.loads(line) for line in captured.out.splitlines())
    return served, local


@pytest.mark.parametrize("dialect", ["generative_scoring", "completions"])
async def test_evaluate_measures_a_served_judge_as_the_local_one(
    judge_url: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, dialect: str
) -> None:
    traces = traces_file(tmp_path / "traces.jsonl")
    flags = ("--spec", "nano", "--dialect", dialect)
    served, local = await evaluated(capsys, traces, judge_url, nano_model("judge"), *flags)
    assert served["pairs"] == local["pairs"] > 50
    assert served["auroc"] == pytest.approx(local["auroc"], abs=1e-3)


# --- deepprune-judge serve ------------------------------------------------------------------------


def encoder(folder: Path) -> Path:
    """A BERT with random weights, so large that its verdicts differ, and a WordPiece tokenizer."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    trainer = trainers.WordPieceTrainer(vocab_size=400, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(
        [text for seed in range(4) for text in segments(seed, 2)[1]], trainer
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
    ).save_pretrained(str(folder))
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=128,
        label2id=LABELS,
        id2label={number: label for label, number in LABELS.items()},
        initializer_range=0.5,
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    return folder


def decoder(folder: Path) -> Path:
    """The nano judge with a random head of two labels on its last token."""
    source = nano_model("judge")
    model = AutoModelForSequenceClassification.from_pretrained(
        source,
        label2id=LABELS,
        id2label={number: label for label, number in LABELS.items()},
        dtype=torch.float32,
    )
    torch.nn.init.normal_(model.score.weight, std=0.3)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(source).save_pretrained(folder)
    return folder


def generative(folder: Path) -> Path:
    """The nano judge as it is."""
    return nano_model("judge")


HEAD = """
name: tiny
kind: embedding-head
model: tiny
instruction: ""
query: "{question} {new}"
item: "{question} {member}"
max_segment_chars: 200
head: judge/head.json
"""


def vectors(folder: Path) -> Path:
    """The nano reasoner with a random head on its vectors, so large that its verdicts differ."""
    shutil.copytree(nano_model("reasoner"), folder, ignore=shutil.ignore_patterns("training.json"))
    rng = Random(0)
    hidden = json.loads((folder / "config.json").read_text())["hidden_size"]
    head = EmbeddingHead(
        projection=[[rng.gauss(0.0, 3.0) for _ in range(hidden)] for _ in range(4)],
        offset=[0.0] * 4,
        weights=[0.0] * 8 + [-1.0] * 4 + [0.3] * 4,
        bias=1.0,
    )
    (folder / "head.json").write_bytes(msgspec.json.encode(head))
    return folder


def local_scores(folder: Path, spec: JudgeSpec, pairs: list[Pair]) -> list[float]:
    return load_judge(folder, spec).scores(pairs)


def classifier_scores(folder: Path, spec: JudgeSpec, pairs: list[Pair]) -> list[float]:
    """The rule of `orchestrator.core.judging`, written out with transformers."""
    prompts = [pair_prompt(spec, question=p.question, new=p.new, member=p.member) for p in pairs]
    return classified(folder, [prompt.query + prompt.item for prompt in prompts])


@torch.inference_mode()
def classified(folder: Path, texts: list[str]) -> list[float]:
    """The probability of label 0 of each text."""
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    encoded = [tokenizer(text, return_tensors="pt") for text in texts]  # each (1, seq)
    return [float(model(**tokens).logits.softmax(-1)[0, 0]) for tokens in encoded]


def children_of(pid: int) -> set[int]:
    """A process's children that run."""
    return {child for child, (_, parent, _) in running().items() if parent == pid}


def in_sessions(leaders: set[int]) -> list[int]:
    """The processes of the sessions that `leaders` began: a server with all of its workers."""
    return [one for one, (_, _, session) in running().items() if session in leaders]


def all_gone(leaders: set[int], within: float = 10.0) -> bool:
    """Whether nothing is left of the sessions; a killed process needs a moment."""
    deadline = time.monotonic() + within
    while in_sessions(leaders):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def running() -> dict[int, tuple[str, int, int]]:
    """State, parent and session of every process; one that has ended and was not collected is none."""
    found = {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent, _, session = file.read_text().rpartition(")")[2].split()[:4]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if state != "Z":
            found[int(file.parent.name)] = (state, int(parent), int(session))
    return found


@asynccontextmanager
async def served(*words: object, cwd: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """`deepprune-judge serve` as a user starts it."""
    process = await asyncio.create_subprocess_exec(
        *(console_script("deepprune-judge"), "serve", *map(str, words)),
        cwd=cwd,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()  # the watchdog ends the server
            await process.communicate()


REWARDED = ("so 3 plus 4 is 7", "wait , so 9", "so 12 minus 5 is 7 wait , check : so 7")


async def rewarded(url: str) -> list[float]:
    """What the server at `url` gives as the rewards of some traces."""
    settings = RewardSettings(url=url, template="{question} {trace}", label=0, timeout_seconds=300)
    async with RewardClient(settings, None) as client:
        await client.probe()
        rewards = [await client.score(question="3 + 4 ?", trace=trace) for trace in REWARDED]
    assert all(reward.prompt_tokens > 5 for reward in rewards)
    return [reward.value for reward in rewards]


def local_rewards(folder: Path) -> list[float]:
    """The same from transformers."""
    return classified(folder, [f"3 + 4 ? {trace}" for trace in REWARDED])


@pytest.mark.timeout(900, func_only=True)
@pytest.mark.parametrize(
    ("make", "dialect", "score"),
    [
        (generative, "generative_scoring", local_scores),
        (encoder, "classify", classifier_scores),
        (decoder, "classify", classifier_scores),
        (vectors, "embeddings", local_scores),
    ],
)
async def test_serve_gives_the_local_probabilities_and_leaves_nothing(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    make: Callable[[Path], Path],
    dialect: str,
    score: Callable[..., list[float]],
) -> None:
    """A classifier is a reward model as well."""
    torch.manual_seed(0)
    folder = make(tmp_path / "judge")
    (tmp_path / "tiny.yaml").write_text(HEAD if make is vectors else CLASSIFIER)
    spec_name = "nano" if make is generative else str(tmp_path / "tiny.yaml")
    spec = judge_spec(spec_name)
    small = ("--", "--kv-cache-memory-bytes", 2**28)
    async with served(folder, "--spec", spec_name, "--threads", 1, *small, cwd=tmp_path) as process:
        assert process.stdout
        url = (await process.stdout.readline()).decode().strip()
        leaders = children_of(process.pid)
        assert len(in_sessions(leaders)) > 1
        pairs, probabilities = await ask(url, spec, dialect)
        traces = traces_file(tmp_path / "traces.jsonl")
        served_line, local_line = await evaluated(capsys, traces, url, folder, "--spec", spec_name)
        rewards = await rewarded(url) if spec.kind == "classification" else []
        process.send_signal(signal.SIGINT)
        out, err = (text.decode() for text in await process.communicate())
    assert process.returncode == 130, err
    assert out == ""
    assert f"--judge-endpoint {url}" in err
    assert f"asked by {dialect}" in err
    assert await asyncio.to_thread(all_gone, leaders)
    assert probabilities == pytest.approx(score(folder, spec, pairs), abs=1e-3)
    assert bool(rewards) == (dialect == "classify")
    if rewards:
        assert rewards == pytest.approx(local_rewards(folder), abs=1e-3)
    assert served_line["auroc"] == pytest.approx(local_line["auroc"], abs=1e-3)
    assert max(probabilities) - min(probabilities) > 0.3  # the pairs are not all alike to it


async def ask(url: str, spec: JudgeSpec, dialect: str) -> tuple[list[Pair], list[float]]:
    """Some pairs, and what the judge at `url` says of them."""
    pairs: list[Pair] = []
    probabilities: list[float] = []
    async with JudgeClient(JudgeSettings(url=url, timeout_seconds=300), spec, None) as client:
        assert (await client.probe()).dialect == dialect
        for seed in range(4):
            question, (new, *members) = segments(seed, 5)
            found = await client.score(question=question, new=new, members=members)
            probabilities += found.probabilities
            pairs += [Pair("q", question, new, member, True) for member in members]
    return pairs, probabilities
