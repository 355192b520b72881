"""Convert a language model in a GGUF file to the folder of safetensors that the other commands take.

deepprune-judge convert SmolLM2-135M-Instruct.gguf smollm2
"""

import argparse
from pathlib import Path

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this command."""
    parser.add_argument("file", type=Path, metavar="FILE", help="a GGUF file")
    parser.add_argument("out", type=Path, metavar="DIR", help="a new folder")


def run(arguments: argparse.Namespace) -> None:
    """Converts the file and prints the folder."""
    from judge_server.models.gguf import convert_gguf

    convert_gguf(arguments.file, arguments.out)
    print(arguments.out)
