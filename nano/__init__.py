"""Models small enough to ship: a reasoning task, its tokenizer, its training and its weights.

The stages, in order; `make nano-reasoner` and `make nano-judge` run them, and `--help` describes each:

    python -m nano.questions    writes the fixed questions, `nano/data/questions.jsonl`
    python -m nano.train        trains the reasoner, `nano/weights/reasoner`
    python -m nano.teacher      writes teacher traces, which the judge is trained on first
    python -m nano.evaluate     samples the reasoner's traces through vLLM and prints its behaviour

The judge, `nano/weights/judge`, is trained on these traces by `deepprune-judge train`.
"""
