"""Recorded traces behind a real HTTP server, for load tests without a GPU."""
