"""Where traces are cut, from names on a command line: a list of reasoning words, or a tokenizer."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.config.load import load_settings
from orchestrator.config.shipped import configs_folder
from orchestrator.errors import ConfigError

if TYPE_CHECKING:
    from judge_server.data.pairs import TokenEnds

__all__ = ["read_word_list", "token_ends"]


def read_word_list(name_or_path: str) -> tuple[str, ...]:
    """The words in a settings file (`checkpoint.word_list`), which the client takes with --config too.

    A shipped list is known by its name in `configs/words`.

    Raises:
        ConfigError: no such list or file, or one that holds no word list.
    """
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml") and not path.parent.name:
        path = _shipped_list(name_or_path)
    checkpoint = load_settings(file=path, environ={}, assignments=(), flags={}).checkpoint
    if "word_list" not in checkpoint.model_fields_set:
        raise ConfigError(
            f"{path} holds no word list; write it as 'checkpoint: {{word_list: [wait, thus]}}'."
        )
    return checkpoint.word_list


def token_ends(folder: Path) -> "TokenEnds":
    """A function that tells where each token of a text ends, by the tokenizer in a model's folder.

    Nothing is downloaded and no special tokens are added. The tokens of a finished text may differ by a few from
    those in which a model once wrote it.

    Raises:
        ConfigError: there is no tokenizer, or one that keeps no offsets.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise ConfigError(
            f"{folder} holds no tokenizer ({reason}); name a model's folder with --tokenizer."
        ) from None
    if not tokenizer.is_fast:
        raise ConfigError(
            f"The tokenizer in {folder} cannot tell where its tokens end; it needs a tokenizer.json."
        )

    def ends(text: str) -> Sequence[int]:
        encoded = tokenizer(
            text, add_special_tokens=False, return_offsets_mapping=True, verbose=False
        )
        return [end for _, end in encoded["offset_mapping"]]

    return ends


def _shipped_list(name: str) -> Path:
    folder = configs_folder() / "words"
    names = sorted(path.stem for path in folder.glob("*.yaml"))
    if name not in names:
        raise ConfigError(
            f"There is no word list '{name}'; choose one of {', '.join(names)}, or give a YAML file."
        )
    return folder / f"{name}.yaml"
