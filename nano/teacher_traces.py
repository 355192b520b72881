"""Teacher traces as a traces file: `python -m nano.teacher_traces --out FILE`. The judge first learns on these.

They cost nothing to make, and there is no end of them; the judge's last lessons are the reasoner's own traces.
"""

import argparse
import itertools
import json
from pathlib import Path
from random import Random

from nano.questions import fixed_question_texts
from nano.task import problems
from nano.teacher import write_trace

__all__ = ["main"]

LONGEST_CHARS = 1_500
"""An endless trace is cut here; it has no answer anyway."""


def main() -> None:
    """Writes the traces, one JSON object a line."""
    parser = argparse.ArgumentParser(prog="python -m nano.teacher_traces", description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--questions", type=int, default=1750)
    parser.add_argument("--traces", type=int, default=8, help="per question")
    parser.add_argument("--care", type=float, default=0.8, help="scales the chance of a slip")
    parser.add_argument("--seed", type=int, default=77)
    arguments = parser.parse_args()
    rng = Random(arguments.seed)
    drawn = problems(rng, exclude=fixed_question_texts())
    with arguments.out.open("w", encoding="utf-8") as file:
        for number, problem in enumerate(itertools.islice(drawn, arguments.questions)):
            for trace_number in range(arguments.traces):
                trace = write_trace(problem, rng, arguments.care)
                row = {
                    "question_id": f"t{number}",
                    "question": problem.text,
                    "gold": str(problem.answer),
                    "model": "nano-teacher",
                    "run": f"seed-{arguments.seed}",
                    "trace": trace_number,
                    "text": trace.text if trace.answer is not None else trace.text[:LONGEST_CHARS],
                    "answer": None if trace.answer is None else str(trace.answer),
                }
                file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
