import json
from pathlib import Path

import pytest

from bench.cli.main import main
from bench.data.sampling import half_of, sample_traces
from bench.replay.replay import ReplayPlan, replay_policy
from bench.results.intervals import interval_of_mean
from bench.results.outcomes import Outcome, per_question, policy_line, read_outcomes, write_outcomes
from bench.specs.grid import Grid, expand_grid, read_grid
from bench.specs.policy_spec import parse_policies
from orchestrator.errors import ConfigError, DatasetError
from tests.support.recordings import probe_matrix, recorded

QUESTION = recorded(*[(10 + i, "1" if i % 3 else "2") for i in range(12)])


def replayed(policy, *questions, **plan):
    return list(
        replay_policy(
            parse_policies([policy])[0], questions or [QUESTION], ReplayPlan(**plan), file="f"
        )
    )


# --- draws ----------------------------------------------------------------------------------------


def test_a_draw_is_without_replacement_and_the_same_for_every_policy() -> None:
    drawn = sample_traces(QUESTION, 8, seed=0, resample=3)
    assert len(set(drawn)) == 8
    assert sample_traces(QUESTION, 4, seed=0, resample=3) == drawn[:4]
    assert sample_traces(QUESTION, 8, seed=0, resample=4) != drawn
    assert sample_traces(QUESTION, 8, seed=1, resample=3) != drawn
    assert sorted(sample_traces(QUESTION, 99, seed=0, resample=0)) == list(range(12))


def test_a_question_keeps_its_half() -> None:
    halves = [half_of(recorded((1, "1"), question=f"q{i}")) for i in range(40)]
    assert set(halves) == {"tune", "report"}
    assert halves == [half_of(recorded((9, "2"), question=f"q{i}")) for i in range(40)]


# --- confidences ----------------------------------------------------------------------------------

DOUBTING = recorded(
    *[(40, "1", (9.0,) * 40)] * 8, *[(40, "2", (9.0,) * 10 + (2.0,) * 30)] * 6, question="sure?"
)


@pytest.mark.parametrize(
    "policy", ["deepconf-low", "deepconf-high", "deepconf-offline", "cons@4:vote=confidence"]
)
def test_a_policy_that_judges_by_confidences_refuses_a_recording_without(policy) -> None:
    with pytest.raises(
        DatasetError, match=r"f has no confidences \(question 'q'\), which"
    ) as caught:
        replayed(policy, DOUBTING, QUESTION)
    assert "run.keep_confidences=true" in str(caught.value)


def test_deepconf_drops_the_unsure_and_saves_their_tokens() -> None:
    plain = replayed("cons", DOUBTING, resamples=4)
    assert {outcome.tokens for outcome in plain} == {14 * 40}
    option = "warm_up=6,confidence_window=8,consensus_share=1"
    outcomes = replayed(f"deepconf-low:{option}", DOUBTING, resamples=4)
    assert all(outcome.answer == "1" for outcome in outcomes)
    assert all(outcome.tokens < 14 * 40 for outcome in outcomes)
    assert any(outcome.cut_tokens > 0 for outcome in outcomes)


def test_offline_deepconf_costs_all_and_votes_by_the_surest() -> None:
    outcomes = replayed("deepconf-offline:confidence_window=8", DOUBTING, resamples=2)
    assert {(outcome.tokens, outcome.answer) for outcome in outcomes} == {(14 * 40, "1")}


# --- names of policies ----------------------------------------------------------------------------


def test_a_policy_is_named_with_its_traces_and_settings() -> None:
    spec = parse_policies(["deepprune@32:tau=0.25,survivors=5,checkpoint.words=35"])[0]
    assert (spec.traces, spec.scoring, spec.settings.policy.tau) == (32, "vote", 0.25)
    assert spec.settings.policy.survivors == 5
    assert spec.settings.checkpoint.words == 35


def test_a_policy_may_bring_its_own_judge() -> None:
    assert parse_policies(["deepprune:judge_auroc=0.8,tau=0.3"])[0].judge_auroc == 0.8
    assert parse_policies(["deepprune:judge_auroc=perfect"])[0].judge_auroc == "perfect"
    assert parse_policies(["deepprune"])[0].judge_auroc is None
    with pytest.raises(ConfigError, match="AUROC is 2"):
        parse_policies(["deepprune:judge_auroc=2"])[0]


def test_general_settings_give_way_to_those_of_the_policy() -> None:
    spec = parse_policies(["auto:effort=high"], ["policy.effort=low"])[0]
    assert spec.settings.policy.effort == "high"
    assert parse_policies(["auto"], ["policy.effort=low"])[0].settings.policy.effort == "low"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("best", "policy.name is 'best'"),
        ("cons@many", "needs a number of traces after @"),
        ("cons@0", "needs a number of traces after @"),
        ("pass", "write pass@1"),
        ("auto:effort", "needs the form key=value"),
        ("auto:efort=low", "nearest valid key is 'policy.effort'"),
    ],
)
def test_a_policy_that_is_none_is_refused(text, sentence) -> None:
    with pytest.raises(ConfigError, match=sentence):
        parse_policies([text])[0]


# --- outcomes -------------------------------------------------------------------------------------


def test_pass_at_k_needs_one_right_trace_and_a_vote_the_most() -> None:
    divided = recorded((1, "1"), (2, "2"), (3, "2"))
    assert all(outcome.correct for outcome in replayed("pass@3", divided, resamples=5))
    assert not any(outcome.correct for outcome in replayed("cons@3", divided, resamples=5))


def test_pass_at_1_is_one_trace_and_so_is_pass1() -> None:
    for name in ("pass@1", "pass1", "cons@1"):
        (outcome,) = replayed(name, resamples=1)
        assert (outcome.traces, outcome.tokens) == (1, outcome.sequential_tokens)


def test_the_same_seed_gives_the_same_outcomes() -> None:
    for policy in ("auto", "deepprune", "random-k", "race"):
        assert replayed(policy, resamples=3) == replayed(policy, resamples=3)
    assert replayed("cons@4", seed=1) != replayed("cons@4", seed=2)


def test_a_question_with_fewer_traces_is_played_with_those_it_has() -> None:
    (outcome,) = replayed("consensus", max_traces=128, resamples=1)
    assert outcome.traces == 12
    assert replayed("cons@5", max_traces=4, resamples=1)[0].traces == 5


def test_traces_without_text_have_their_checkpoint_at_tokens() -> None:
    long = recorded(*[(3000, "1")] * 4)
    (outcome,) = replayed("random-k:survivors=1", long, resamples=1)
    assert outcome.tokens == 3000 + 3 * 1500
    (outcome,) = replayed("random-k:survivors=1", long, resamples=1, checkpoint_tokens=100)
    assert outcome.tokens == 3000 + 3 * 100
    assert outcome.cut_tokens == 300


def test_traces_with_text_have_it_at_a_reasoning_word() -> None:
    worded = recorded(*[(100, "1", "so " * 50)] * 4)
    (outcome,) = replayed("random-k:survivors=1,checkpoint.words=10", worded, resamples=1)
    assert outcome.tokens == 100 + 3 * 20


def test_the_judges_bill_and_clusters_are_kept() -> None:
    long = recorded(*[(3000, "1")] * 4, (3000, "2"))
    (outcome,) = replayed("deepprune:survivors=1", long, resamples=1, judge_auroc="perfect")
    assert sorted(outcome.clusters) == [1, 4]
    assert outcome.judge_tokens >= 4 * 3000


def outcome(question="a", correct=True, **changes):
    values = {
        "file": "f",
        "policy": "cons@1",
        "question_id": question,
        "resample": 0,
        "answer": "1",
        "correct": correct,
        "tokens": 10,
        "cut_tokens": 0,
        "sequential_tokens": 5.0,
        "judge_tokens": 2,
        "seconds": 1.0,
        "traces": 1,
    }
    return Outcome(**{**values, **changes})


def test_the_agreed_line_has_means_over_questions_and_their_interval() -> None:
    right, wrong = outcome("a"), outcome("b", correct=False, tokens=30)
    line = policy_line([right, wrong, right, wrong])
    assert line == {
        "file": "f",
        "policy": "cons@1",
        "accuracy": 0.5,
        "accuracy_low": 0.0,
        "accuracy_high": 1.0,
        "tokens_per_question": 20.0,
        "sequential_tokens": 5.0,
        "judge_tokens_per_question": 2.0,
        "questions": 2,
        "resamples": 2,
    }


def test_unknown_times_stay_unknown() -> None:
    assert policy_line([outcome(sequential_tokens=None)])["sequential_tokens"] is None


def test_a_question_counts_once_however_often_it_was_drawn() -> None:
    outcomes = [outcome("a"), outcome("b"), outcome("a", correct=False)]
    assert per_question(outcomes, lambda each: float(each.correct)) == [0.5, 1.0]


def test_the_interval_is_that_of_the_mean_over_questions() -> None:
    interval = interval_of_mean([0.0, 1.0] * 50)
    assert interval.mean == 0.5
    assert 0.37 < interval.low < 0.43 < 0.57 < interval.high < 0.63
    assert interval_of_mean([1.0, 1.0]) == (1.0, 1.0, 1.0)


def test_outcomes_can_be_written_and_read_again(tmp_path: Path) -> None:
    outcomes = [outcome("a", clusters=(2, 1)), outcome("b", answer=None)]
    write_outcomes(tmp_path / "sub" / "o.jsonl", outcomes)
    assert read_outcomes(tmp_path / "sub") == outcomes
    (tmp_path / "bad.jsonl").write_text("{}\n")
    with pytest.raises(DatasetError, match="line 1 is not an outcome"):
        read_outcomes(tmp_path / "bad.jsonl")
    with pytest.raises(DatasetError, match="Cannot read"):
        read_outcomes(tmp_path / "none.jsonl")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="has no outcomes"):
        read_outcomes(tmp_path / "empty")


# --- the command ----------------------------------------------------------------------------------


@pytest.fixture
def matrix(tmp_path: Path):
    branches = [(["1"], 3000 + i, "1" if i % 4 else "2") for i in range(8)]
    return probe_matrix(tmp_path / "m.json", ("1", branches), ("2", branches), ("1", branches))


def lines_of(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_run_prints_one_line_per_policy_and_file(
    matrix, capsys: pytest.CaptureFixture[str]
) -> None:
    other = matrix.with_name("other.json")
    other.write_bytes(matrix.read_bytes())
    command = ["run", "--replay", str(matrix), "--replay", str(other), "--policy", "auto"]
    command += ["--policy", "cons@4", "--policy", "deepprune", "--max-traces", "8"]
    assert main([*command, "--resamples", "2", "--seed", "0", "--json"]) == 0
    lines = lines_of(capsys)
    assert [line["policy"] for line in lines] == ["auto", "cons@4", "deepprune"] * 2
    assert list(lines[0]) == [
        "file",
        "policy",
        "accuracy",
        "accuracy_low",
        "accuracy_high",
        "tokens_per_question",
        "sequential_tokens",
        "judge_tokens_per_question",
        "questions",
        "resamples",
    ]
    assert (lines[0]["questions"], lines[0]["resamples"]) == (3, 2)
    for line in lines:
        line["file"] = "the same"
    assert lines[:3] == lines[3:]


def test_run_without_json_prints_a_table(matrix, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--replay", str(matrix), "--policy", "cons@8", "--resamples", "1"]) == 0
    shown = capsys.readouterr()
    assert "cons@8" in shown.out
    assert "66.7%" in shown.out


def test_run_keeps_outcomes_when_asked(
    matrix, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "o.jsonl"
    command = ["run", "--replay", str(matrix), "--policy", "cons@2", "--resamples", "2"]
    assert main([*command, "--out", str(out), "--json"]) == 0
    assert len(read_outcomes(out)) == 6
    assert lines_of(capsys) == [policy_line(read_outcomes(out))]


def test_run_takes_a_half(matrix, capsys: pytest.CaptureFixture[str]) -> None:
    counts = []
    for half in ("tune", "report"):
        command = ["run", "--replay", str(matrix), "--policy", "cons@1", "--half", half, "--json"]
        assert main(command) in (0, 2)
        shown = capsys.readouterr()
        counts.append(json.loads(shown.out)["questions"] if shown.out else 0)
    assert sum(counts) == 3


def test_run_takes_recorded_verdicts(
    matrix, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scores = tmp_path / "s.jsonl"
    pairs = [(i, j) for i in range(8) for j in range(i)]
    rows = [{"question_id": q, "traces": p, "p": 0.9} for q in ("1", "2", "3") for p in pairs]
    scores.write_text("\n".join(map(json.dumps, rows)) + "\n")
    command = ["run", "--replay", str(matrix), "--policy", "deepprune:survivors=1", "--json"]
    assert main([*command, "--resamples", "1", "--judge-scores", str(scores)]) == 0
    (line,) = lines_of(capsys)
    assert line["tokens_per_question"] < 3 * 8 * 1500


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--judge-auroc", "1.5"], "must lie between 0 and 1 or be perfect"),
        (["--judge-auroc", "good"], "must lie between 0 and 1 or be perfect"),
        (["--resamples", "0"], "at least 1"),
        (["--max-traces", "x"], "at least 1"),
    ],
)
def test_a_wrong_flag_is_refused(
    matrix, capsys: pytest.CaptureFixture[str], flags, sentence
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["run", "--replay", str(matrix), "--policy", "auto", *flags])
    assert caught.value.code == 2
    assert sentence in capsys.readouterr().err


def test_wrong_input_is_one_sentence_and_exit_code_2(
    matrix, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "--replay", str(tmp_path / "x.json"), "--policy", "auto"]) == 2
    assert main(["run", "--replay", str(matrix), "--policy", "best"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 2
    assert "deepprune-bench run: " in error


@pytest.mark.parametrize("command", ["run", "sweep"])
def test_what_a_recording_lacks_is_said_before_anything_is_played(
    command, matrix, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grid = tmp_path / "grid.yaml"
    grid.write_text("resamples: 2\npolicies: [cons@4, deepconf-low]\n")
    flags = {
        "run": ["run", "--policy", "cons@4", "--policy", "deepconf-low", "--json"],
        "sweep": ["sweep", str(grid), "--out", str(tmp_path / "out")],
    }
    assert main([*flags[command], "--replay", str(matrix)]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "has no confidences" in shown.err
    assert not list(tmp_path.glob("out/*.jsonl"))


def test_a_recording_without_probes_is_refused_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    traces = tmp_path / "t.jsonl"
    trace = {"question_id": "q", "question": "?", "tokens": 9, "answer": "1", "gold": "1"}
    traces.write_text(json.dumps(trace) + "\n")
    assert main(["run", "--replay", str(traces), "--policy", "parallel-probe"]) == 2
    assert f"{traces} has no probes (question 'q')" in capsys.readouterr().err


# --- sweep ----------------------------------------------------------------------------------------


def test_a_grid_is_multiplied_out() -> None:
    grid = Grid.model_validate(
        {
            "policies": [
                "esc",
                {"cons": {"traces": [1, 2]}},
                {"deepprune": {"tau": [0.25, 0.5], "survivors": 5}},
                "cons@1",
            ],
        }
    )
    assert expand_grid(grid) == [
        "esc",
        "cons@1",
        "cons@2",
        "deepprune:tau=0.25,survivors=5",
        "deepprune:tau=0.5,survivors=5",
    ]


@pytest.mark.parametrize(
    "text", ["", "- a", "policies: []", "resamples: 3", "policies: [a]\nhalf: all"]
)
def test_a_file_that_is_no_grid_is_refused(tmp_path: Path, text) -> None:
    path = tmp_path / "grid.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_grid(path)
    assert "grid.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.fixture
def grid(matrix, tmp_path: Path):
    path = tmp_path / "grid.yaml"
    path.write_text("resamples: 2\npolicies:\n  - auto\n  - cons: {traces: [1, 4, 8]}\n")
    return path


def test_a_sweep_goes_on_where_it_was_stopped(
    grid,
    matrix,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    command = ["sweep", str(grid), "--replay", str(matrix), "--out", str(out)]
    assert main(command) == 0
    first = lines_of(capsys)
    assert [line["policy"] for line in first] == ["auto", "cons@1", "cons@4", "cons@8"]
    (out / "00-cons%404.jsonl").unlink()
    kept = {path: path.stat().st_ino for path in out.glob("*.jsonl")}
    assert main(command) == 0
    assert lines_of(capsys) == first
    assert len(list(out.glob("*.jsonl"))) == 4
    assert {path: path.stat().st_ino for path in kept} == kept  # a file is never written in place


def test_a_sweep_of_another_kind_is_not_mixed_in(
    grid, matrix, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["sweep", str(grid), "--replay", str(matrix), "--out", str(tmp_path / "out")]
    assert main(command) == 0
    grid.write_text(grid.read_text().replace("resamples: 2", "resamples: 3"))
    assert main(command) == 2
    assert "give another --out" in capsys.readouterr().err
