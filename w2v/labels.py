"""Format the names and values of settings, and speeds, durations and intervals, for display."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def as_text(value: Any) -> str:
    """Format a value for a table.

    A float is written with up to four significant digits if they give its exact value, and
    otherwise with all its digits. ``None`` becomes a dash.
    """
    if isinstance(value, float):
        short = f"{value:.4g}"
        return short if float(short) == value else repr(value)
    return "–" if value is None else str(value)


def shortened(texts: Iterable[str]) -> dict[str, str]:
    """Map each text to a short form: decimal fractions are rounded to four significant digits.

    If different texts would become equal, all fractions keep more digits. Whole numbers, and texts
    that are not numbers, are unchanged.
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
    """Map each dotted key to its last part, such as ``model.dim`` to ``dim``.

    A key is mapped to itself if another key has the same last part.
    """
    last = [key.rpartition(".")[2] for key in keys]
    return {
        key: name if last.count(name) == 1 else key for key, name in zip(keys, last, strict=True)
    }


def format_scores(scores: Mapping[str, float]) -> str:
    """Format scores on benchmarks for one line of text, as in ``  men 0.512  simlex 0.430``.

    The name of a score has the form ``kind/benchmark/measure``, such as ``similarity/men/pearson``.
    Only the benchmark is shown. If several scores have the same benchmark, the measure is shown,
    too, as in ``  men pearson 0.512  men spearman 0.498``.
    """
    parts = [name.split("/") for name in scores]
    names = [part[1] for part in parts]
    shown = [
        name if names.count(name) == 1 else f"{name} {part[-1]}"
        for name, part in zip(names, parts, strict=True)
    ]
    return "".join(f"  {name} {scores[key]:.3f}" for name, key in zip(shown, scores, strict=True))


def format_rate(words_per_second: float) -> str:
    """Format a speed such as ``1.23 M words/s`` or ``456 k words/s``."""
    if words_per_second >= 1e6:
        return f"{words_per_second / 1e6:.2f} M words/s"
    return f"{words_per_second / 1e3:.0f} k words/s"


def format_duration(seconds: float) -> str:
    """Format a duration such as ``0.25 s``, ``4.1 s`` or ``612 s``."""
    digits = 0 if seconds >= 100 else 1 if seconds >= 1 else 2
    return f"{seconds:.{digits}f} s"


def format_part(fraction: float) -> str:
    """Format the completed fraction of a task as a percentage, such as ``42%``.

    ``100%`` appears only at the end: a fraction below 1 gives at most ``99%``.
    """
    return f"{fraction if fraction >= 1 else min(fraction, 0.99):.0%}"


def format_interval(low: float | None, high: float | None, form: str = ".2f") -> str:
    """Format an interval such as ``0.12 … 0.34``; a dash if `low` is None.

    If `low` is a number, `high` must be one, too. `form` is the format specification of both.
    """
    return "–" if low is None else f"{low:z{form}} … {high:z{form}}"


def format_figure(value: float | None, form: str = ".3f") -> str:
    """Format a number by the format specification `form`; ``None`` as a dash."""
    return "–" if value is None else f"{value:z{form}}"
