"""Builds and measures judges: pairs from traces, training, evaluation, serving."""
