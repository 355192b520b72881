"""A record is what the client would ask, and gives its pair back."""

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge_server.data.alpaca import dataset_info, read_pairs, record_of, write_json
from judge_server.data.pairs import Pair
from orchestrator.config.shipped import judge_spec
from orchestrator.core.judging import JudgeSpec, pair_prompt
from orchestrator.errors import DatasetError

NANO = judge_spec("nano")
TEMPLATES = {
    "nano": (NANO.query, NANO.item),
    "instruction last": ("{question}\n{{new}\n", "{member}\n{x} {member}"),
    "two instructions": ("{instruction}\n{instruction} {question}{new}", "|{member}"),
    "no instruction": ("A: {new} again {new}", "B: {member}"),
}
pieces = st.sampled_from([*'ab {}\n"\\,[]é\u2028', "{new}", "{member}"])
texts = st.lists(pieces, max_size=12).map("".join)


def spec_of(name: str, **changes: object) -> JudgeSpec:
    query, item = TEMPLATES[name]
    return NANO.model_copy(update={"query": query, "item": item, **changes})


def joined_by_llama_factory(record: dict[str, str]) -> str:
    """The user's message, as LLaMA-Factory's alpaca converter makes it."""
    return "\n".join(part for part in (record["instruction"], record["input"]) if part)


@pytest.mark.parametrize("name", TEMPLATES)
@given(question=texts, new=texts, member=texts, same=st.booleans())
def test_a_record_is_the_clients_question_and_gives_the_pair_back(
    name: str, question: str, new: str, member: str, same: bool
) -> None:
    spec = spec_of(name)
    pair = Pair("q1", question, new, member, same, model="m")
    record = msgspec.json.decode(msgspec.json.encode(record_of(pair, spec)))
    asked = pair_prompt(spec, question=question, new=new, member=member).user_message
    assert joined_by_llama_factory(record) == asked
    assert record["output"] == ("identical" if same else "not identical")
    assert record_of(pair, spec).pair() == pair


def test_the_nano_judge_has_its_instruction_apart() -> None:
    record = record_of(Pair("q1", "How many?", "so 1", "so 2", True), NANO)
    assert record.instruction == NANO.instruction
    assert record.input == "Solution A:\nso 1\nSolution B:\nso 2\n"


def test_a_judge_that_asks_in_another_order_has_all_in_the_input() -> None:
    assert (
        record_of(Pair("q1", "?", "so", "so", True), spec_of("instruction last")).instruction == ""
    )


def test_a_long_segment_is_written_as_the_judge_is_shown_it() -> None:
    pair = Pair("q1", "?", "so one", "so two", True)
    restored = record_of(pair, spec_of("nano", max_segment_chars=3)).pair()
    assert (restored.new, restored.member) == ("one", "two")


PAIRS = [Pair("q1", 'Line\none, ["?"]', f"so {n},", f"{n}]\n", n % 3 > 0, "m") for n in range(5)]


def written(folder: Path, *, times: int = 1) -> Path:
    lines = folder / "train.lines"
    lines.write_bytes(b"".join(msgspec.json.encode(record_of(p, NANO)) + b"\n" for p in PAIRS))
    assert write_json(lines, folder / "train.json", {True: 1, False: times}) == 3 + 2 * times
    return folder / "train.json"


def test_a_file_is_a_json_list_that_reads_back_as_a_stream(tmp_path: Path) -> None:
    file = written(tmp_path)
    assert [record["question_id"] for record in json.loads(file.read_text())] == ["q1"] * 5
    assert list(read_pairs(file)) == PAIRS


def test_the_records_of_one_class_can_be_repeated(tmp_path: Path) -> None:
    again = list(read_pairs(written(tmp_path, times=3)))
    assert [pair for pair in again if pair.same] == [pair for pair in PAIRS if pair.same]
    assert [p.new for p in again if not p.same] == ["so 0,"] * 3 + ["so 3,"] * 3


def test_json_lines_are_read_too(tmp_path: Path) -> None:
    file = tmp_path / "pairs.jsonl"
    records = json.loads(written(tmp_path).read_text())
    file.write_text("".join(json.dumps(record) + "\n" for record in records))
    assert list(read_pairs(file)) == PAIRS


def test_no_records_are_an_empty_list(tmp_path: Path) -> None:
    (tmp_path / "none.lines").touch()
    assert write_json(tmp_path / "none.lines", tmp_path / "none.json", {True: 1, False: 1}) == 0
    assert json.loads((tmp_path / "none.json").read_text()) == []
    assert list(read_pairs(tmp_path / "none.json")) == []


@pytest.mark.parametrize(
    "line",
    [
        '{"instruction": "", "input": "x", "output": "identical", "question_id": "q"}',
        '[{"instruction": ""}]',
        "{",
        '{"instruction":"","input":"x","output":"","question_id":"","question":"","model":"","same":true,'
        '"new":[0,9],"member":[0,1]}',
    ],
)
def test_a_line_that_is_no_such_record_is_named(tmp_path: Path, line: str) -> None:
    file = tmp_path / "pairs.json"
    file.write_text("[\n" + line + "\n]\n")
    with pytest.raises(DatasetError, match=r"pairs\.json line 2 is not a pair"):
        list(read_pairs(file))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="cannot be read"):
        list(read_pairs(tmp_path / "nowhere.json"))


def test_llama_factory_is_told_each_file_and_its_columns() -> None:
    info = json.loads(json.dumps(dataset_info(["train", "test"])))
    assert list(info) == ["deepprune_train", "deepprune_test"]
    assert info["deepprune_test"] == {
        "file_name": "test.json",
        "formatting": "alpaca",
        "columns": {"prompt": "instruction", "query": "input", "response": "output"},
    }


def test_a_byte_order_mark_is_no_part_of_the_first_record(tmp_path: Path) -> None:
    file = written(tmp_path)
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert list(read_pairs(file)) == PAIRS


def test_bottomless_nesting_is_no_record(tmp_path: Path) -> None:
    file = tmp_path / "pairs.jsonl"
    file.write_text('{"instruction": ' + "[" * 5000 + "]" * 5000 + "}\n")
    with pytest.raises(DatasetError, match="line 1 is not a pair"):
        list(read_pairs(file))
