"""Models small enough to ship: a reasoning task, its tokenizer, its training and its weights."""
