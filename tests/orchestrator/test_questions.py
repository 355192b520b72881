import gzip
import json
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from orchestrator.core.prompting import Message
from orchestrator.errors import DatasetError
from orchestrator.questions import Question, read_questions, to_jsonl


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def refusal(folder: Path, name: str, content: str | bytes) -> str:
    with pytest.raises(DatasetError) as caught:
        read_questions(written(folder, name, content))
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_jsonl_keeps_order_and_spelling_of_numbers(tmp_path: Path) -> None:
    text = '{"id": 7, "question": "How far?", "answer": 0.10}\n{"id": "b", "question": "Who?"}\n'
    assert read_questions(written(tmp_path, "q.jsonl", text)) == [
        Question(id="7", question="How far?", gold="0.10"),
        Question(id="b", question="Who?", gold=None),
    ]


def test_a_huge_integer_answer_stays_exact(tmp_path: Path) -> None:
    digits = "9" * 5000
    path = written(tmp_path, "q.jsonl", f'{{"question": "q", "answer": {digits}}}')
    assert read_questions(path)[0].gold == digits


@pytest.mark.parametrize("column", ["question", "problem", "prompt"])
def test_any_of_the_question_columns_will_do(tmp_path: Path, column: str) -> None:
    path = written(tmp_path, "q.jsonl", f'{{"{column}": "Why?"}}')
    assert read_questions(path)[0].question == "Why?"


@pytest.mark.parametrize(
    "column", ["answer", "Answer", "gold", "answerKey", "final_answer", "target", "solution"]
)
def test_any_of_the_answer_columns_will_do(tmp_path: Path, column: str) -> None:
    path = written(tmp_path, "q.jsonl", f'{{"question": "Why?", "{column}": 42}}')
    assert read_questions(path)[0].gold == "42"


def test_an_empty_answer_is_no_answer_and_gives_way_to_the_next_column(tmp_path: Path) -> None:
    path = written(tmp_path, "q.csv", "question,answer,gold\na,,\nb,,3\n")
    assert [question.gold for question in read_questions(path)] == [None, "3"]


def test_a_worked_solution_is_read_for_its_answer(tmp_path: Path) -> None:
    lines = [
        r'{"question": "a", "solution": "Thus \\boxed{4}."}',
        '{"question": "b", "answer": "6 * 7 = 42\\n#### 42"}',
        '{"question": "c", "solution": "no box at all"}',
    ]
    path = written(tmp_path, "q.jsonl", "\n".join(lines))
    assert [question.gold for question in read_questions(path)] == ["4", "42", "no box at all"]


def test_without_ids_the_line_number_is_the_id_and_blank_lines_count(tmp_path: Path) -> None:
    path = written(tmp_path, "q.jsonl", '{"question": "a"}\n\n{"question": "b"}\n')
    assert [question.id for question in read_questions(path)] == ["1", "3"]


def test_question_id_is_an_id_too(tmp_path: Path) -> None:
    path = written(tmp_path, "q.csv", "question_id,question\nx9,a\n")
    assert read_questions(path)[0].id == "x9"


def test_truth_values_become_words(tmp_path: Path) -> None:
    path = written(tmp_path, "q.jsonl", '{"question": "Even?", "answer": true}')
    assert read_questions(path)[0].gold == "true"


def test_json_list(tmp_path: Path) -> None:
    path = written(tmp_path, "q.json", '[{"question": "a"}, {"question": "b"}]')
    assert [(q.id, q.question) for q in read_questions(path)] == [("1", "a"), ("2", "b")]


def test_csv_with_mark_quotes_and_line_breaks(tmp_path: Path) -> None:
    path = written(tmp_path, "q.csv", '\ufeffid,question,answer\r\n1,"a,\r\nb",3\r\n2,c,\r\n')
    assert [q.id for q in read_questions(path)] == ["1", "2"]
    assert read_questions(path)[0].question == "a,\r\nb"


@pytest.mark.parametrize("suffix", [".jsonl.gz", ".JSONL.GZ", ".ndjson.gz"])
def test_gzipped_file(tmp_path: Path, suffix: str) -> None:
    path = written(tmp_path, "q" + suffix, gzip.compress(b'{"question": "a"}'))
    assert read_questions(path)[0].question == "a"


def test_line_separators_inside_a_question_do_not_cut_it(tmp_path: Path) -> None:
    path = written(tmp_path, "q.jsonl", '{"question": "a\u2028b\u0085c"}')
    assert read_questions(path)[0].question == "a\u2028b\u0085c"


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"nowhere\.jsonl: No such file"):
        read_questions(tmp_path / "nowhere.jsonl")


@pytest.mark.parametrize("name", ["q.jsonl", "q.json", "q.csv"])
@pytest.mark.parametrize("content", ["", "\n \n"])
def test_empty_file_is_refused(tmp_path: Path, name: str, content: str) -> None:
    assert "q" in refusal(tmp_path, name, content)


def test_header_without_rows_is_empty(tmp_path: Path) -> None:
    assert "holds no question" in refusal(tmp_path, "q.csv", "id,question\n")


def test_malformed_jsonl_line_is_named_by_number(tmp_path: Path) -> None:
    message = refusal(tmp_path, "q.jsonl", '{"question": "a"}\n\n{"question": "b"\n')
    assert "q.jsonl line 3 is not valid JSON" in message


def test_malformed_json_is_named_by_line(tmp_path: Path) -> None:
    assert "line 3 column 1" in refusal(tmp_path, "q.json", '[\n{"question": "a"},\n,]')


def test_json_that_is_no_list_is_refused(tmp_path: Path) -> None:
    assert "must hold a list" in refusal(tmp_path, "q.json", '{"question": "a"}')


def test_line_that_is_no_object_is_refused(tmp_path: Path) -> None:
    assert "line 1 is not an object" in refusal(tmp_path, "q.jsonl", '["a"]')


def test_missing_question_column_names_the_columns_found(tmp_path: Path) -> None:
    message = refusal(tmp_path, "q.csv", "name,text\n1,2\n")
    assert "question, problem, prompt or messages" in message
    assert "found name, text" in message


def test_object_without_columns_says_so(tmp_path: Path) -> None:
    assert "found none" in refusal(tmp_path, "q.jsonl", "{}")


def test_blank_question_is_no_question(tmp_path: Path) -> None:
    assert "line 2 has no question" in refusal(
        tmp_path, "q.jsonl", '{"question": "a"}\n{"question": "  "}'
    )


def test_question_that_is_no_text_is_refused(tmp_path: Path) -> None:
    message = refusal(tmp_path, "q.jsonl", '{"prompt": {"text": "1+1?"}}')
    assert "line 1: messages must be a list" in message
    assert "write prompt as a text, or as [{" in message


CHAT = (Message("system", "Be brief."), Message("user", "1+1?"))
CHAT_JSON = '[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "1+1?"}]'


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("q.jsonl", '{"answer": 2, "messages": ' + CHAT_JSON + "}"),
        ("q.jsonl", '{"answer": 2, "prompt": ' + CHAT_JSON + "}"),
        ("q.json", '[{"answer": 2, "question": ' + CHAT_JSON + "}]"),
        ("q.csv", 'answer,messages\n2,"' + CHAT_JSON.replace('"', '""') + '"\n'),
    ],
)
def test_a_chat_is_a_question_whose_text_is_its_last_message(
    tmp_path: Path, name: str, content: str
) -> None:
    (question,) = read_questions(written(tmp_path, name, content))
    assert question == Question(id=question.id, question="1+1?", gold="2", messages=CHAT)
    assert read_questions(written(tmp_path, "again.jsonl", to_jsonl([question]))) == [question]


def test_chats_of_a_parquet_file_are_read(tmp_path: Path) -> None:
    path = tmp_path / "q.parquet"
    parquet.write_table(pyarrow.table({"prompt": [json.loads(CHAT_JSON)]}), path)
    assert read_questions(path)[0].messages == CHAT


def test_options_stand_behind_the_last_message_of_a_chat(tmp_path: Path) -> None:
    row = '{"options": ["1", "2"], "answer": "2", "messages": ' + CHAT_JSON + "}"
    (question,) = read_questions(written(tmp_path, "q.jsonl", row))
    assert question.messages[-1].content == question.question == "1+1?\n\n(A) 1\n(B) 2"
    assert question.gold == "B"


@pytest.mark.parametrize(
    ("chat", "reason"),
    [
        ('[{"role": "user", "content": "1+1?"}, {"role": "assistant", "content": "2"}]', "user"),
        ('[{"role": "user", "content": [{"type": "image_url"}]}]', "must be text"),
        ('"[1"', "not valid JSON"),
        ('[{"role": "user", "content": "\\ud83d"}]', "half a character"),
    ],
)
def test_a_chat_that_cannot_be_sent_is_refused_with_its_place(
    tmp_path: Path, chat: str, reason: str
) -> None:
    message = refusal(tmp_path, "q.jsonl", '{"messages": ' + chat + "}")
    assert "line 1" in message
    assert reason in message


def test_duplicate_ids_name_both_places(tmp_path: Path) -> None:
    message = refusal(
        tmp_path, "q.jsonl", '{"id": 1, "question": "a"}\n{"id": "1", "question": "b"}'
    )
    assert "line 1 and line 2 both have the id '1'" in message


def test_text_that_is_not_utf_8_is_named_by_line(tmp_path: Path) -> None:
    assert "line 2 is not UTF-8" in refusal(tmp_path, "q.jsonl", b'{"question": "a"}\n\xff\xfe')


def test_half_a_character_is_refused(tmp_path: Path) -> None:
    assert "half a character" in refusal(tmp_path, "q.jsonl", '{"question": "\\ud83d"}')


def test_csv_with_too_many_fields_is_refused(tmp_path: Path) -> None:
    assert "line 2 has more fields" in refusal(tmp_path, "q.csv", "id,question\n1,a,b\n")


def test_csv_with_an_open_quote_is_refused(tmp_path: Path) -> None:
    assert "not valid CSV" in refusal(tmp_path, "q.csv", 'question\n"a\n')


@pytest.mark.parametrize(
    "content",
    [b"plain", gzip.compress(b'{"question": "a"}', mtime=0)[:-9]],
    ids=["no gzip", "cut short"],
)
def test_broken_gzip_is_refused(tmp_path: Path, content: bytes) -> None:
    assert "not a whole gzip file" in refusal(tmp_path, "q.jsonl.gz", content)


@pytest.mark.parametrize("name", ["q.txt", "q", "q.gz"])
def test_unknown_format_names_the_known_ones(tmp_path: Path, name: str) -> None:
    assert ".jsonl, .json or .csv" in refusal(tmp_path, name, "a")


def test_bottomless_nesting_is_refused(tmp_path: Path) -> None:
    assert "nested too deeply" in refusal(tmp_path, "q.jsonl", "[" * 100_000)


def test_json_lines_named_json_are_read_as_lines(tmp_path: Path) -> None:
    path = written(tmp_path, "q.json", '{"question": "a"}\n{"question": "b"}\n')
    assert [question.question for question in read_questions(path)] == ["a", "b"]


def test_a_csv_field_may_be_as_long_as_its_file(tmp_path: Path) -> None:
    path = written(tmp_path, "q.csv", "question\n" + "long " * 50_000 + "\n")
    assert len(read_questions(path)[0].question) > 200_000


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    path = written(tmp_path, "q.csv", b"\xef\xbb\xbfid,question\n7,a\n")
    assert read_questions(path)[0].id == "7"


def test_a_parquet_file_is_read_like_the_others(tmp_path: Path) -> None:
    table = pyarrow.table({"id": [1, 2], "question": ["a", "b"], "answer": [4.5, float("nan")]})
    parquet.write_table(table, tmp_path / "q.parquet")
    assert read_questions(tmp_path / "q.parquet") == [
        Question(id="1", question="a", gold="4.5"),
        Question(id="2", question="b", gold=None),
    ]


def test_what_is_no_parquet_file_is_one_sentence(tmp_path: Path) -> None:
    assert "is not a Parquet file" in refusal(tmp_path, "q.parquet", "no table")
    with pytest.raises(DatasetError, match="Cannot read"):
        read_questions(tmp_path / "missing.parquet")
