"""The Python API: questions asked on your own servers. `deepprune` exports its names.

The command line, the screen and the benchmark ask their questions through the same `Client`.
"""

from orchestrator.api.blocking import ask
from orchestrator.api.client import Client, ClientArguments

__all__ = ["Client", "ClientArguments", "ask"]
