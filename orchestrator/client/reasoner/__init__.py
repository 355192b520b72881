"""Streams of traces from the reasoner's server."""
