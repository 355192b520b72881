"""Benchmarks spread over machines."""
