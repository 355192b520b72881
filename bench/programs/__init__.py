"""Whole benchmarks: recorded, swept or live, in this process or in Ray tasks."""
