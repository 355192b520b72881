"""Benchmarks on live servers, resumable."""
