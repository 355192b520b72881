"""Measuring: what a policy costs and loses against a plain vote."""
