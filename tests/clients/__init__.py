"""Clients that people have, asked for answers through `deepprune-serve`; `make test-clients` runs them.

They run in an environment of their own (`.venv-clients`), because their packages do not go with vLLM's. The server is a
process of the project's environment.
"""
