"""Baselines that are no policies of the core, because they need what a stock server cannot give."""
