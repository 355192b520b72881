"""Names of units: many spellings, one name each. Nothing is converted."""

import re

__all__ = ["canonical_unit"]

_SPELLINGS = {
    "km": "kilometer kilometre kilometers kilometres kms",
    "m": "meter metre meters metres",
    "cm": "centimeter centimetre centimeters centimetres",
    "mm": "millimeter millimetre millimeters millimetres",
    "mi": "mile miles",
    "ft": "foot feet",
    "in": "inch inches",
    "yd": "yard yards",
    "kg": "kilogram kilograms kilo kilos kgs",
    "g": "gram grams",
    "mg": "milligram milligrams",
    "lb": "lbs pound pounds",
    "oz": "ounce ounces",
    "t": "ton tons tonne tonnes",
    "l": "L liter litre liters litres",
    "ml": "mL milliliter millilitre milliliters millilitres",
    "h": "hr hrs hour hours",
    "min": "mins minute minutes",
    "s": "sec secs second seconds",
    "ms": "millisecond milliseconds",
    "day": "days d",
    "week": "weeks",
    "month": "months",
    "year": "years yr yrs",
    "$": "dollar dollars usd USD \\$",
    "€": "euro euros eur EUR",
    "£": "gbp GBP",
    "¥": "yen jpy JPY yuan cny CNY",
    "₹": "rupee rupees inr INR",
    "¢": "cent cents",
    "°": "degree degrees deg",
    "°C": "celsius Celsius",
    "°F": "fahrenheit Fahrenheit",
    "rad": "radian radians",
    "Hz": "hertz Hertz hz",
    "kHz": "kilohertz",
    "N": "newton newtons Newtons",
    "J": "joule joules Joules",
    "kJ": "kilojoule kilojoules",
    "W": "watt watts",
    "kW": "kilowatt kilowatts",
    "V": "volt volts",
    "A": "ampere amperes amps",
    "K": "kelvin kelvins",
    "Pa": "pascal pascals",
    "mol": "mole moles",
    "unit": "units",
    "Mg": "megagram megagrams",
    "mW": "milliwatt milliwatts",
    "MW": "megawatt megawatts",
    "mJ": "millijoule millijoules",
    "MJ": "megajoule megajoules",
    "mHz": "millihertz",
    "MHz": "megahertz",
    "mPa": "millipascal millipascals",
    "kPa": "kilopascal kilopascals",
    "MPa": "megapascal megapascals",
    "mV": "millivolt millivolts",
    "kV": "kilovolt kilovolts",
    "MV": "megavolt megavolts",
    "mA": "milliampere milliamperes milliamps",
    "kN": "kilonewton kilonewtons",
    "MN": "meganewton meganewtons",
    "mN": "millinewton millinewtons",
    "meV": "",
    "keV": "",
    "MeV": "",
    "mΩ": "",
    "MΩ": "",
    "kWh": "",
    "MWh": "",
    "mM": "",
    "mph": "",
    "kph": "kmh",
    "Ω": "ohm ohms",
    "µm": "micrometer micrometers micron microns um",
    "nm": "nanometer nanometers",
    "dm": "decimeter decimeters",
    "cal": "calorie calories",
    "kcal": "kilocalories",
    "eV": "",
    "dB": "decibel decibels",
    "C": "coulomb coulombs",
    "T": "tesla",
    "F": "farad farads",
    "atm": "",
    "bar": "",
    "mod": "",
}
_NAMES = {name: name for name in _SPELLINGS} | {
    spelling: name for name, spellings in _SPELLINGS.items() for spelling in spellings.split()
}
_SAME = {
    "mi/h": "mph",
    "km/h": "kph",
    "° °C": "°C",
    "° °F": "°F",
    "°C": "°C",
    "° C": "°C",
    "° F": "°F",
}
_NEVER = frozenset(
    [
        "and",
        "or",
        "to",
        "not",
        "no",
        "more",
        "less",
        "than",
        "least",
        "most",
        "minus",
        "plus",
        "times",
        "over",
        "if",
        "mod",
        "at",
        "by",
        "of",
        "sin",
        "cos",
        "tan",
        "log",
        "ln",
        "exp",
        "sqrt",
        "pi",
        "sec",
        "csc",
        "cot",
        "arcsin",
        "arccos",
        "arctan",
        "is",
        "are",
        "was",
        "the",
        "a",
        "an",
        "hundred",
        "thousand",
        "million",
        "billion",
        "trillion",
        "e",
        "i",
    ]
)
_TEXT = re.compile(r"\\(?:text|mathrm|textrm|rm|mbox|operatorname)\s*\{([^{}]*)\}")
_POWER = re.compile(r"\s*\^?\s*\{?\s*([23²³])\s*\}?(?=\W|\Z)")
_TOKEN = re.compile(r"[A-Za-zµΩ]+|[€£¥₹¢$°]|\\\$")
_INVERSE = re.compile(r"([A-Za-zµΩ]+)\s*\^\s*\{?\s*-\s*([123])\s*\}?")
_WHOLE = re.compile(
    r"(?:[A-Za-zµΩ]+(?:\^[23])?|[€£¥₹¢$°]|\\\$)(?:\s*/\s*|\s+(?:per\s+)?|-|(?=[A-Za-z°]))?"
)
_MAX_WORDS = 5


def canonical_unit(text: str, *, separated: bool = True) -> str | None:
    r"""The one name of a unit ("km" for "kilometres", "m^2" for "square metres"), or None if this is no unit.

    Any one to five words count as a unit ("apples", "red balls"), because counts have no closed list. Single letters and
    letters glued to their number (`separated` is False: "5m", "2x") only do if they are known.
    """
    styled = _TEXT.search(text) is not None
    plain = _TEXT.sub(r" \1 ", text).replace(r"\circ", "°").replace("^{°}", "°").replace("^°", "°")
    plain = _INVERSE.sub(
        lambda found: f"/{found[1]}" + ("" if found[2] == "1" else f"^{found[2]}"), plain
    )
    plain = _POWER.sub(lambda found: "^" + found[1].translate(str.maketrans("²³", "23")), plain)
    plain = " ".join(
        plain.replace(r"\cdot", " ").replace("{", " ").replace("}", " ").split()
    ).rstrip(". ")
    position, names, per = 0, [], False
    for match in _WHOLE.finditer(plain):
        if match.start() != position:
            return None
        position = match.end()
        name = _name(match[0], known_only=not (separated or styled))
        if name is None:
            return None
        names.append(("/" if per else "") + name)
        per = "/" in match[0] or match[0].endswith("per ")
    if position != len(plain) or not names or len(names) > _MAX_WORDS:
        return None
    return _tidied(names)


def _name(token: str, *, known_only: bool) -> str | None:
    """One word's canonical name, with its power; "" for a word that carries no meaning here."""
    word = _TOKEN.match(token)
    if word is None:
        return None
    power = "^" + token[word.end() + 1] if token[word.end() :].startswith("^") else ""
    known = _NAMES.get(word[0]) or _NAMES.get(word[0].lower() if len(word[0]) > 2 else word[0])
    if known:
        return known + power
    if known_only or len(word[0]) < 2 or word[0].lower() in _NEVER:
        return None
    return _singular(word[0].lower()) + power


def _singular(word: str) -> str:
    return word[:-1] if word.endswith("s") and not word.endswith("ss") and len(word) > 3 else word


def _tidied(names: list[str]) -> str:
    """Words put together: "square m" is "m^2", "m per s" is "m/s", "mi/h" is "mph"."""
    text = " ".join(names).replace(" /", "/").replace(" per ", "/")
    text = re.sub(r"\bsquare ([^\s/]+)", r"\1^2", text)
    text = re.sub(r"\bcubic ([^\s/]+)", r"\1^3", text)
    return _SAME.get(text, text)
