"""A text that tries to be more than text, at every medium."""

__all__ = ["HOSTILE", "is_harmless"]

HOSTILE = (
    "=cmd|' /C calc'!A0\x1b]52;c;cm0gLXJm\x07\x1b[31;1mred\x9b2J\r\nerror: pay\u202egpj.exe\u2028"
    "| # [x](javascript:alert(1)) <img src=x onerror=alert(1)> $\\frac{1}$ `code` **b** &amp; \x00\ud800"
)
"""OSC 52 writes the clipboard; then colours, a C1 control, line ends, a bidi mark, markup of four kinds, and a surrogate."""

DANGEROUS = "\x1b\x07\x9b\x00\r\u202e\u2028\ud800"


def is_harmless(text: str) -> bool:
    return not any(character in text for character in DANGEROUS)
