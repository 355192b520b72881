"""Recorded traces played to the core in simulated time."""
