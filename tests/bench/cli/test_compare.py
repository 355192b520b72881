"""`deepprune-bench compare`: one folder of tables, pictures and a page."""

import json
from pathlib import Path

import pytest

from bench.cli.main import main
from bench.results.outcomes import Outcome, write_outcomes
from tests.support.outcomes import FOUR_VOTES, ONE_VOTE, outcomes

SCRIPT = "<script>alert(1)</script>"

LENGTHS = {"finished": (100,), "pruned": (30,)}
SWEPT = [
    outcome
    for tau in ("0.25", "0.5")
    for resample in (0, 1)
    for outcome in outcomes(
        f"d:tau={tau}", [1] * 4, 200, clusters=(4,), lengths=LENGTHS, resample=resample
    )
]


def compare(folder: Path, kept: list[Outcome]) -> Path:
    write_outcomes(folder / "o.jsonl", kept)
    out = folder / "report"
    assert main(["compare", str(folder / "o.jsonl"), "--out", str(out)]) == 0
    return out


@pytest.mark.slow  # draws plots
def test_a_comparison_is_written_in_all_forms(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One command for everything that it writes: most of its time goes into loading the plotting libraries."""
    out = compare(tmp_path, [*ONE_VOTE, *FOUR_VOTES, *outcomes(SCRIPT, [1] * 4, 250), *SWEPT])
    pictures = ("pareto-1", "difference-1", "distributions-1", "sweep-1")
    assert {path.name for path in out.iterdir()} == {
        *("table.md", "table.csv", "table.json", "page.html"),
        *(f"{name}.{ending}" for name in pictures for ending in ("png", "svg")),
    }
    assert all((out / f"{name}.png").read_bytes().startswith(b"\x89PNG") for name in pictures)
    markdown = capsys.readouterr().out
    assert markdown == (out / "table.md").read_text()
    assert "### tau of d\n\n| tau | accuracy |" in markdown
    assert "| oracle: the best for each question | 100.0% |" in markdown
    table = json.loads((out / "table.json").read_text())
    assert len(table["rows"]) == 5
    assert table["findings"]
    page = (out / "page.html").read_text(encoding="utf-8")
    assert "<h3>tau of d</h3>" in page
    assert "An oracle that knows the best value for each question: 100.0%" in page
    assert SCRIPT not in page
    assert "src=" not in page.split("</head>")[1]  # it needs no network
    assert 'src="http' not in page


def test_a_folder_that_cannot_be_made_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_outcomes(tmp_path / "o.jsonl", ONE_VOTE)
    (tmp_path / "file").write_text("")
    assert main(["compare", str(tmp_path / "o.jsonl"), "--out", str(tmp_path / "file")]) == 2
    assert "Cannot make the folder" in capsys.readouterr().err


@pytest.mark.parametrize("price", ["-1", "much", "inf", "nan"])
def test_a_wrong_price_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], price: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["compare", "x.jsonl", "--out", str(tmp_path), f"--judge-price={price}"])
    assert caught.value.code == 2
    assert "is not a number of at least 0" in capsys.readouterr().err
