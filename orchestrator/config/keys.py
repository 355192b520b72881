"""Keys to servers, from the environment: as they can be sent, or refused in one sentence that never shows them."""

from collections.abc import Mapping

from orchestrator.errors import ConfigError

__all__ = ["JUDGE_KEY", "REASONER_KEY", "REWARD_KEY", "SERVE_KEY", "key_from", "usable_key"]

REASONER_KEY = "OPENAI_API_KEY"
JUDGE_KEY = "DEEPPRUNE_JUDGE_API_KEY"
REWARD_KEY = "DEEPPRUNE_REWARD_API_KEY"
SERVE_KEY = "DEEPPRUNE_SERVE_API_KEY"


def key_from(environ: Mapping[str, str], name: str) -> str | None:
    """The key in the variable `name`; None if it is not set or empty.

    Raises:
        ConfigError: the value cannot be sent as a key.
    """
    return usable_key(environ.get(name), name)


def usable_key(value: str | None, name: str) -> str | None:
    """The key without the white space around it, which files and shells add; None if nothing is left.

    Args:
        value: as the user gave it.
        name: where it comes from, for the error.

    Raises:
        ConfigError: it holds a line break, another control character, or a character outside Latin-1, none of which
            an HTTP header (RFC 9110, section 5.5) can carry.
    """
    key = (value or "").strip()
    for position, character in enumerate(key, start=1):
        code = ord(character)
        if code < 0x20 or 0x7F <= code < 0xA0 or code > 0xFF:
            raise ConfigError(
                f"{name} cannot be sent in an HTTP header (character {position} is U+{code:04X}): copy the key again."
            )
    return key or None
