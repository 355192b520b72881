"""A judge served by vLLM on this machine."""
