"""One question while it runs: the loop, its traces, the limit on streams, the endpoints."""
