"""lm-evaluation-harness, as a user starts it, with `local-chat-completions`."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.clients.serving import KEY, MODEL, QUESTIONS, Server

TASK = r"""
task: nano
dataset_path: json
dataset_kwargs:
  data_files: {{test: {file}}}
test_split: test
output_type: generate_until
doc_to_text: "{{{{question}}}}"
doc_to_target: "{{{{answer}}}}"
generation_kwargs: {{until: ["</never>"], temperature: 0, do_sample: false}}
filter_list:
  - name: boxed
    filter:
      - function: regex
        regex_pattern: '\\boxed\{{([^}}]*)\}}'
        group_select: -1
      - function: take_first
metric_list:
  - {{metric: exact_match, aggregation: mean, higher_is_better: true}}
metadata: {{version: 1}}
"""


def test_twenty_questions_score_as_the_server_says(server: Server, tmp_path: Path) -> None:
    questions = tmp_path / "questions.jsonl"
    questions.write_text("".join(json.dumps(each) + "\n" for each in QUESTIONS))
    (tmp_path / "nano.yaml").write_text(TASK.format(file=questions))
    before = server.kept()
    arguments = {
        "model": MODEL,
        "base_url": f"{server.url}/chat/completions",
        "num_concurrent": "4",
        "max_retries": "1",
        "tokenized_requests": "False",
    }
    subprocess.run(
        [
            *(
                Path(sys.executable).with_name("lm_eval"),
                "run",
                "--model",
                "local-chat-completions",
            ),
            *("--model_args", ",".join(f"{name}={value}" for name, value in arguments.items())),
            *("--tasks", "nano", "--include_path", tmp_path, "--apply_chat_template"),
            *("--output_path", tmp_path / "out"),
        ],
        check=True,
        timeout=300,
        env={
            **os.environ,
            "OPENAI_API_KEY": KEY,
            "HF_HOME": str(tmp_path / "hf"),
            "HF_HUB_OFFLINE": "1",
            "HF_DATASETS_OFFLINE": "1",
        },
    )
    [file] = (tmp_path / "out").rglob("results_*.json")
    [(_name, score)] = [
        (name, value)
        for name, value in json.loads(file.read_text())["results"]["nano"].items()
        if name.startswith("exact_match,")
    ]
    assert score == server.score(before) > 0
