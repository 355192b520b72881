"""DeepPrune's orchestrator: parallel reasoning traces from remote servers, pruned while they run."""

__version__ = "0.2.0"
