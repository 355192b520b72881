"""A training that was stopped goes on as if it never had been, or says why it cannot."""

import json
import pickle
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import judge_server.training.train
from judge_server.cli.main import main
from judge_server.training.state import StateFolder, TrainingState
from orchestrator.config.shipped import configs_folder

pytestmark = pytest.mark.slow

SETTINGS = "epochs: 2\nlearning_rate: 0.01\nbf16: false\nbatch_tokens: 800\nvalidation_share: 0.2\n"


class Killed(BaseException):
    """What a process cannot catch."""


@pytest.fixture
def flags(tmp_path: Path, traces: Path, folder: Path) -> list[str]:
    (tmp_path / "tiny.yaml").write_text((configs_folder() / "judges" / "nano.yaml").read_text())
    (tmp_path / "tiny-train.yaml").write_text(SETTINGS)
    return [
        *("train", "--config", str(tmp_path / "tiny.yaml"), "--checkpoint-steps", "2"),
        *("--traces", str(traces), "--init", str(folder)),
    ]


def kill_at_step(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    count = TrainingState.count

    def counted(self: TrainingState, loss: float, seconds: float) -> None:
        count(self, loss, seconds)
        if self.steps == number:
            raise Killed

    monkeypatch.setattr(TrainingState, "count", counted)


def kill_in(monkeypatch: pytest.MonkeyPatch, owner: object, name: str, *, after: bool) -> None:
    whole = getattr(owner, name)

    def stopped(*args: object, **kwargs: object) -> None:
        if after:
            whole(*args, **kwargs)
        raise Killed

    monkeypatch.setattr(owner, name, stopped)


def train_until_killed(flags: list[str], out: Path) -> None:
    with pytest.raises(Killed):
        main([*flags, "--out", str(out)])


def straight(flags: list[str], out: Path) -> bytes:
    assert main([*flags, "--out", str(out)]) == 0
    return (out / "model.safetensors").read_bytes()


class Uninterrupted(NamedTuple):
    """What a training gives that nobody stopped."""

    weights: bytes
    record: dict[str, Any]


@pytest.fixture(scope="module")
def known() -> list[Uninterrupted]:
    """The uninterrupted training, once a test has run it; all tests have the same flags but for their folders."""
    return []


@pytest.fixture
def uninterrupted(known: list[Uninterrupted], flags: list[str], tmp_path: Path) -> Uninterrupted:
    if not known:
        weights = straight(flags, tmp_path / "straight")
        known.append(Uninterrupted(weights, record_of(tmp_path / "straight")))
    return known[0]


def record_of(out: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((out / "training.json").read_text())
    return record


@pytest.mark.parametrize("where", ["first", "middle", "last"])
def test_killed_after_a_step_and_resumed_gives_the_same_weights(
    monkeypatch: pytest.MonkeyPatch,
    flags: list[str],
    tmp_path: Path,
    uninterrupted: Uninterrupted,
    where: str,
) -> None:
    steps = uninterrupted.record["steps"]
    assert steps > 9
    number = {"first": 1, "middle": steps // 2, "last": steps}[where]
    out = tmp_path / "judge"
    with monkeypatch.context() as patch:
        kill_at_step(patch, number)
        train_until_killed(flags, out)
    assert not (out / "config.json").exists()
    assert main([*flags, "--out", str(out), "--resume"]) == 0
    assert (out / "model.safetensors").read_bytes() == uninterrupted.weights
    assert record_of(out)["epochs"] == uninterrupted.record["epochs"]
    assert not (out / "checkpoint").exists()


@pytest.mark.parametrize(
    ("owner", "name", "after"),
    [
        (StateFolder, "save_best", True),
        (StateFolder, "save", False),
        (StateFolder, "load_best", False),
        (StateFolder, "remove", False),
        (judge_server.training.train, "export_judge", False),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_killed_while_writing_and_resumed_gives_the_same_weights(
    monkeypatch: pytest.MonkeyPatch,
    flags: list[str],
    tmp_path: Path,
    uninterrupted: Uninterrupted,
    owner: object,
    name: str,
    after: bool,
) -> None:
    out = tmp_path / "judge"
    with monkeypatch.context() as patch:
        kill_in(patch, owner, name, after=after)
        train_until_killed(flags, out)
    assert main([*flags, "--out", str(out), "--resume"]) == 0
    assert (out / "model.safetensors").read_bytes() == uninterrupted.weights


def test_a_folder_half_moved_holds_no_model_until_it_is_whole(
    monkeypatch: pytest.MonkeyPatch, flags: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "judge"
    straight(flags, out)
    replace, moved = Path.replace, []

    def third_fails(self: Path, target: Path) -> Path:
        if self.parent.name == "finished":
            moved.append(self.name)
            if len(moved) == 3:
                raise Killed
        return replace(self, target)

    flags += ["--set", "seed=1"]
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", third_fails)
        train_until_killed(flags, out)
    assert not (out / "config.json").exists()
    assert main([*flags, "--out", str(out), "--resume"]) == 0
    assert record_of(out)["settings"]["seed"] == 1


def test_only_the_last_state_is_kept(
    monkeypatch: pytest.MonkeyPatch, flags: list[str], tmp_path: Path
) -> None:
    with monkeypatch.context() as patch:
        kill_at_step(patch, 5)
        train_until_killed(flags, tmp_path / "judge")
    states = sorted(path.name for path in (tmp_path / "judge" / "checkpoint").iterdir())
    assert states in (["run.json", "step-4"], ["best.safetensors", "run.json", "step-4"])


@pytest.fixture(scope="module")
def killed() -> list[Path]:
    """The folder of a killed training, once a test has run it."""
    return []


@pytest.fixture
def stopped(
    killed: list[Path],
    monkeypatch: pytest.MonkeyPatch,
    flags: list[str],
    tmp_path_factory: pytest.TempPathFactory,
    tmp_path: Path,
) -> Path:
    """A folder with a training that was killed."""
    if not killed:
        out = tmp_path_factory.mktemp("killed") / "judge"
        with monkeypatch.context() as patch:
            kill_at_step(patch, 5)
            train_until_killed(flags, out)
        killed.append(out)
    return shutil.copytree(killed[0], tmp_path / "judge")


class Planted:
    """Touches a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return eval, (f"__import__('pathlib').Path({str(self.mark)!r}).touch()",)


def test_a_training_state_holds_no_pickle(stopped: Path) -> None:
    files = {
        file.name for file in stopped.rglob("*") if file.is_file() and "logs" not in file.parts
    }
    assert files - {"best.safetensors"} == {"run.json", "state.json", "state.safetensors"}


def test_resuming_reads_no_pickle_in_the_folder(
    flags: list[str], stopped: Path, tmp_path: Path
) -> None:
    (state,) = stopped.glob("checkpoint/step-*")
    mark = tmp_path / "code-has-run"
    for name in (
        *("custom_checkpoint_0.pkl", "custom_checkpoint_1.pkl", "random_states_0.pkl"),
        *("optimizer.bin", "scheduler.bin", "pytorch_model.bin", "sampler.bin", "scaler.pt"),
    ):
        (state / name).write_bytes(pickle.dumps(Planted(mark)))
    assert main([*flags, "--out", str(stopped), "--resume"]) == 0
    assert not mark.exists()


@pytest.mark.parametrize("name", ["state.json", "state.safetensors"])
@pytest.mark.parametrize("damage", ["pickle", "missing", "empty object"])
def test_a_damaged_or_foreign_training_state_is_refused(
    capsys: pytest.CaptureFixture[str],
    flags: list[str],
    stopped: Path,
    tmp_path: Path,
    name: str,
    damage: str,
) -> None:
    (state,) = stopped.glob("checkpoint/step-*")
    mark = tmp_path / "code-has-run"
    if damage == "pickle":
        (state / name).write_bytes(pickle.dumps(Planted(mark)))
    elif damage == "missing":
        (state / name).unlink()
    else:
        (state / name).write_text("{}")
    assert main([*flags, "--out", str(stopped), "--resume"]) == 2
    said = capsys.readouterr().err
    assert "is not a training state of this version" in said
    assert "Traceback" not in said
    assert not mark.exists()


def test_an_unfinished_training_is_not_started_anew(
    capsys: pytest.CaptureFixture[str], flags: list[str], stopped: Path
) -> None:
    assert main([*flags, "--out", str(stopped)]) == 2
    assert "add --resume to continue it" in capsys.readouterr().err


def test_changed_settings_are_refused_by_name(
    capsys: pytest.CaptureFixture[str], flags: list[str], stopped: Path
) -> None:
    assert main([*flags, "--out", str(stopped), "--resume", "--set", "gamma=0"]) == 2
    assert "settings.gamma was 2.0 when the training" in capsys.readouterr().err


def test_changed_data_are_refused(
    capsys: pytest.CaptureFixture[str], flags: list[str], stopped: Path, traces: Path
) -> None:
    with traces.open("a") as file:
        file.write('{"question_id": "new", "question": "?", "text": "so", "answer": "1"}\n')
    assert main([*flags, "--out", str(stopped), "--resume"]) == 2
    assert "data_sha256 was" in capsys.readouterr().err


def test_a_finished_training_is_left_alone(
    capsys: pytest.CaptureFixture[str], flags: list[str], tmp_path: Path
) -> None:
    before = straight(flags, tmp_path / "judge")
    assert main([*flags, "--out", str(tmp_path / "judge"), "--resume"]) == 0
    assert "there is nothing to resume" in capsys.readouterr().err
    assert (tmp_path / "judge" / "model.safetensors").read_bytes() == before


def test_resume_where_nothing_is_begins(flags: list[str], tmp_path: Path) -> None:
    assert main([*flags, "--out", str(tmp_path / "judge"), "--resume"]) == 0
    assert (tmp_path / "judge" / "config.json").is_file()
