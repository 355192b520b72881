"""Builds and measures judges: pairs from traces, training, evaluation.

On import, torch's companion packages that cannot load beside the installed torch are hidden: transformers
imports whatever it finds, and a text model needs none of them.
"""

import sys

from orchestrator.local_vllm.hardware import unfit_torch_companions

for _name in unfit_torch_companions():
    sys.modules[_name] = None  # type: ignore[assignment]
