"""Limits on the values of settings, each with a text for error messages.

`w2v.settings` has the classes that check their fields against these limits.
"""

import re
import sys
from collections.abc import Callable, Collection
from typing import Any, NamedTuple


class Limit(NamedTuple):
    """A limit on the values of a setting.

    Attributes
    ----------
    wanted
        The allowed values in words that follow "must be", such as "at least 1".
    holds
        A function that returns whether a value is allowed.
    """

    wanted: str
    holds: Callable[[Any], bool]


def is_finite(value: float) -> bool:
    """Return whether a number is finite; an int must also be in the range of a Python float."""
    return abs(value) <= sys.float_info.max


def at_least(least: float) -> Limit:
    """Return a limit that allows finite numbers of at least `least`."""
    return Limit(f"at least {least}", lambda value: is_finite(value) and value >= least)


def above(bound: float) -> Limit:
    """Return a limit that allows finite numbers greater than `bound`."""
    return Limit(f"a finite number above {bound}", lambda v: is_finite(v) and v > bound)


def between(least: float, most: float) -> Limit:
    """Return a limit that allows numbers from `least` to `most`, including both."""
    return Limit(f"from {least:,} to {most:,}", lambda value: least <= value <= most)


def fraction() -> Limit:
    """Return a limit that allows numbers from 0 (included) to 1 (excluded)."""
    return Limit("at least 0 and below 1", lambda value: 0 <= value < 1)


def finite() -> Limit:
    """Return a limit that allows any finite number."""
    return Limit("a finite number", is_finite)


def one_of(choices: Collection[str]) -> Limit:
    """Return a limit that allows any of the words in `choices`."""
    *most, last = choices
    return Limit(f"{', '.join(most)} or {last}" if most else last, lambda v: v in choices)


def some_of(choices: Collection[str], least: int = 0) -> Limit:
    """Return a limit that allows lists of items of `choices`: at least `least`, none repeated."""
    return Limit(
        f"some of [{', '.join(choices)}], each once",
        lambda v: set(v) <= set(choices) and len(set(v)) == len(v) >= least,
    )


def text(what: str) -> Limit:
    """Return a limit that allows text that is not blank.

    `what` names the allowed text in error messages, for example "a folder".
    """
    return Limit(what, lambda value: bool(value.strip()))


def matching(pattern: str, what: str) -> Limit:
    """Return a limit that allows text that fully matches a regular expression, ignoring case.

    `what` names the allowed text in error messages.
    """
    found = re.compile(pattern, re.IGNORECASE)
    return Limit(what, lambda value: found.fullmatch(value) is not None)
