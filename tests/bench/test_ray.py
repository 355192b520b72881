"""Replays in Ray tasks; such a command is a process of its own, because Ray leaves threads and warnings behind."""

import subprocess
import sys
from types import SimpleNamespace

import pytest
from recordings import probe_matrix

from bench.cli import main

POLICIES = ("--policy", "auto", "--policy", "deepprune@6", "--policy", "cons@3")


@pytest.fixture
def matrix(tmp_path):
    branches = [(["1"], 3000 + 40 * i, "1" if i % 4 else "2") for i in range(8)]
    return probe_matrix(tmp_path / "m.json", ("1", branches), ("2", branches), ("1", branches))


@pytest.mark.timeout(400)  # Ray starts half a dozen processes
def test_ray_tasks_give_the_same_lines_and_outcomes(matrix, tmp_path, capsys):
    run = ["run", "--replay", str(matrix), *POLICIES, "--resamples", "2", "--json", "--out"]
    assert main([*run, str(tmp_path / "alone.jsonl")]) == 0
    alone = capsys.readouterr().out
    spread = subprocess.run(
        [sys.executable, "-m", "bench.cli", *run, tmp_path / "spread.jsonl", "--ray", "local"],
        capture_output=True,
        text=True,
        timeout=360,
        check=False,
    )
    assert spread.returncode == 0, spread.stderr
    assert spread.stdout == alone != ""
    assert (tmp_path / "spread.jsonl").read_bytes() == (tmp_path / "alone.jsonl").read_bytes()


def test_without_ray_the_remedy_is_named(matrix, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main(["run", "--replay", str(matrix), "--policy", "auto", "--ray", "local"]) == 2
    assert "pip install 'deepprune[ray]'" in capsys.readouterr().err


def test_a_live_run_is_not_spread(tmp_path, capsys):
    command = ["run", "--local", "--questions", "q.jsonl", "--policy", "auto", "--ray", "local"]
    assert main([*command, "--out", str(tmp_path)]) == 2
    assert "--ray spreads replays" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("address", "sentence"),
    [("127.0.0.1:1", "No Ray cluster answers at 127.0.0.1:1"), ("b:x", "write HOST:PORT")],
)
def test_a_cluster_that_is_not_there_is_found_at_once(
    matrix, monkeypatch, capsys, address, sentence
):
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace())  # it is not asked
    assert main(["run", "--replay", str(matrix), "--policy", "auto", "--ray", address]) == 2
    assert sentence in capsys.readouterr().err
