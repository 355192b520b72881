"""How well judges tell same-answer pairs from the others."""
