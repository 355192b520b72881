"""Two processes under `accelerate launch` train the judge that one process trains."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

import judge_server.training.train
from judge_server.cli.main import main
from orchestrator.config.shipped import configs_folder

pytestmark = pytest.mark.slow

LAUNCH = (
    *(sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"),
    *("--num_machines", "1", "--main_process_port", "0"),
    *("--mixed_precision", "no", "--dynamo_backend", "no", "-m", "judge_server.cli.main"),
)
ENVIRONMENT = os.environ | {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
FORKED = """
import os, socket, sys
from orchestrator.local_vllm.hardware import hide_unfit_torch_companions
hide_unfit_torch_companions()
import judge_server.training.train
from judge_server.cli.main import main

with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
child = os.fork()
rank = "0" if child else "1"
os.environ |= {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
code = main(sys.argv[1:])
if child:
    code = code or os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
sys.exit(code)
"""
"""What the launcher does, with half a minute of imports less: both processes are forks of one."""


@pytest.fixture
def flags(tmp_path: Path, traces: Path, folder: Path) -> list[str]:
    """A training whose steps have three batches, so that two processes never share one evenly.

    One epoch, because which of two is the better one may hang on rounding.
    """
    half = tmp_path / "half.jsonl"
    half.write_text("".join(traces.read_text().splitlines(keepends=True)[:80]))
    (tmp_path / "tiny.yaml").write_text((configs_folder() / "judges" / "nano.yaml").read_text())
    (tmp_path / "tiny-train.yaml").write_text(
        "epochs: 1\nlearning_rate: 0.003\nadam_epsilon: 1.0e-3\nbf16: false\nvalidation_share: 0.2\n"
        "packing: false\nbatch_pairs: 4\nbatches_per_step: 3\nreading_weight: 0.1\n"
    )
    return [
        *("train", "--config", str(tmp_path / "tiny.yaml"), "--checkpoint-steps", "4"),
        *("--traces", str(half), "--init", str(folder)),
    ]


@pytest.fixture(scope="module")
def known() -> list[Path]:
    """The folder of what one process trains, once a test has needed it."""
    return []


@pytest.fixture
def alone(known: list[Path], flags: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process trains; all tests have the same flags but for their folders."""
    if not known:
        out = tmp_path_factory.mktemp("trained") / "alone"
        assert main([*flags, "--out", str(out)]) == 0
        known.append(out)
    return known[0]


@pytest.mark.timeout(300)
def test_two_processes_give_the_loss_and_the_weights_of_one(
    flags: list[str], alone: Path, tmp_path: Path
) -> None:
    together = tmp_path / "together"
    said = said_by([*LAUNCH, *flags, "--out", str(together)])
    assert said.count("epoch 1:") == 1  # one of the two speaks

    one, two = (json.loads((out / "training.json").read_text()) for out in (alone, together))
    assert one["steps"] == two["steps"] > 10
    for first, second in zip(one["epochs"], two["epochs"], strict=True):
        assert second["loss"] == pytest.approx(first["loss"], rel=1e-5)
        assert second["auroc"] == pytest.approx(first["auroc"], abs=0.01)
    assert apart(alone, together) < 1e-4 < 1e-2 < apart(alone, Path(one["init"]))


@pytest.mark.timeout(300)
def test_two_processes_resume_what_one_began(
    monkeypatch: pytest.MonkeyPatch, flags: list[str], alone: Path, tmp_path: Path
) -> None:
    resumed = tmp_path / "resumed"
    with monkeypatch.context() as patch:
        patch.setattr(judge_server.training.train, "validate", interrupt)
        assert main([*flags, "--out", str(resumed)]) == 130
    assert [path.name for path in resumed.glob("checkpoint/step-*")] != []
    said_by([sys.executable, "-c", FORKED, *flags, "--out", str(resumed), "--resume"])
    assert apart(alone, resumed) < 1e-4


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def said_by(command: list[str]) -> str:
    """What two processes write to stderr."""
    launched = subprocess.run(
        command,
        env=ENVIRONMENT,
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
    assert launched.returncode == 0, launched.stderr
    return launched.stderr


def apart(one: Path, two: Path) -> float:
    """The largest difference between two weights of the same name."""
    weights, others = (load_file(folder / "model.safetensors") for folder in (one, two))
    return max(float((weights[name] - others[name]).abs().max()) for name in weights)
