"""Format the keys and values of settings for tables, plots and lists of runs."""

import re
from collections.abc import Iterable, Sequence
from typing import Any


def as_text(value: Any) -> str:
    """Format a value for a table.

    A float has at most four significant digits if that is exact, else all of its digits; ``None``
    becomes a dash.
    """
    if isinstance(value, float):
        short = f"{value:.4g}"
        return short if float(short) == value else repr(value)
    return "–" if value is None else str(value)


def shortened(texts: Iterable[str]) -> dict[str, str]:
    """Map each text to a short form; a text that is a number is rounded to four significant digits.

    If two texts would become equal, all numbers keep more digits. Whole numbers, and texts that are
    not numbers, are unchanged.
    """
    values = list(dict.fromkeys(texts))
    for digits in (4, 6, 9):
        short = {text: _rounded(text, digits) for text in values}
        if len(set(short.values())) == len(values):
            return short
    return {text: text for text in values}


def _rounded(text: str, digits: int) -> str:
    if not re.fullmatch(r"-?\d*\.?\d+(e[+-]?\d+)?", text) or float(text).is_integer():
        return text
    return f"{float(text):.{digits}g}"


def is_number(value: Any) -> bool:
    """Return whether a value is an int or a float, but not a bool."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def short_names(keys: Sequence[str]) -> dict[str, str]:
    """Map each dotted key to its last part, ``model.dim`` to ``dim``; if not unique, to itself."""
    last = [key.rpartition(".")[2] for key in keys]
    return {
        key: name if last.count(name) == 1 else key for key, name in zip(keys, last, strict=True)
    }
