"""Names and values of settings, as people read them in tables, plots and lists of runs."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

BESIDE = ("tracking", "outputs", "cache", "search")
"""Groups and settings that do not make a run what it is: where it is recorded, where it lies, how
it is compared. A sweep has one of each."""


def shown(value: Any) -> str:
    """A value as text: equal for equal values alone."""
    if isinstance(value, float):
        short = f"{value:.4g}"
        return short if float(short) == value else repr(value)
    return "–" if value is None else str(value)


def brief(texts: Iterable[str]) -> dict[str, str]:
    """Values as a person reads them: with four digits, or as many as tell them apart."""
    values = list(dict.fromkeys(texts))
    for digits in (4, 6, 9):
        short = {text: rounded(text, digits) for text in values}
        if len(set(short.values())) == len(values):
            return short
    return {text: text for text in values}


def rounded(text: str, digits: int) -> str:
    """A number with so many digits; what is none, or a whole one, as it is."""
    if not re.fullmatch(r"-?\d*\.?\d+(e[+-]?\d+)?", text) or float(text).is_integer():
        return text
    return f"{float(text):.{digits}g}"


def is_number(value: Any) -> bool:
    """Whether a setting's value can be placed on an axis by its size."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def short_names(keys: Sequence[str]) -> dict[str, str]:
    """Keys without their groups, where that leaves no two alike: ``{"model.dim": "dim"}``."""
    last = [key.rpartition(".")[2] for key in keys]
    return {
        key: name if last.count(name) == 1 else key for key, name in zip(keys, last, strict=True)
    }


def flat(
    settings: Mapping[str, Any], without: Sequence[str] = (), prefix: str = ""
) -> dict[str, Any]:
    """Settings by their keys, ``{"model.dim": 100, ...}``, without those of some groups."""
    found: dict[str, Any] = {}
    for key, value in settings.items():
        if prefix + key in without:
            continue
        if isinstance(value, Mapping):
            found |= flat(value, without, f"{prefix}{key}.")
        else:
            found[prefix + key] = value
    return found
