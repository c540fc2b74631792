"""Settings that validate themselves: frozen dataclasses whose fields have a meaning and limits.

A field made by `setting` has a one-line meaning and often a limit on its values (`w2v.limits`). The
constructor of a class derived from `Settings` raises an error for values of the wrong type or
outside the limit. `describe` returns the meanings and limits as text for ``--help``, so that each
limit is written only once.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass, replace
from functools import cache
from numbers import Integral, Real
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, NamedTuple, Union, cast, get_args, get_origin, get_type_hints

import numpy as np

from w2v.errors import InputError
from w2v.limits import Limit, above, one_of

NUMBERS = {int: Integral, float: Real}
"""The class to which a value must belong if the type of its setting is int or float."""


class SettingError(InputError):
    """The error for a setting whose value is not allowed.

    Attributes
    ----------
    owner
        The settings class that has the field.
    name, value
        The name of the field, and its value.
    wanted
        The allowed values, in words that follow "must be" in the message.
    """

    def __init__(self, owner: type, name: str, value: object, wanted: str) -> None:
        self.owner, self.name, self.value, self.wanted = owner, name, value, wanted
        # Quotes show a blank value, and keep one with a line break on one line.
        plain = str(value).isprintable() and str(value).strip()
        super().__init__(f"{name}={value if plain else repr(value)}: must be {wanted}")


def setting(meaning: str, limit: Limit | None = None, default: Any = MISSING) -> Any:
    """Return a dataclass field for a class derived from `Settings`.

    Parameters
    ----------
    meaning
        What the setting means, in one line, for ``--help``.
    limit
        Which values of the field's type are allowed; by default, all. If the type includes None, a
        field may be None whatever the limit.
    default
        The default value; a list or dictionary is copied for each object. Without a default, a
        value must be given.
    """
    metadata = {"meaning": meaning, "limit": limit}
    if isinstance(default, list | dict):
        return field(default_factory=default.copy, metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Settings:
    """The base class of settings whose fields are made by `setting`.

    Raises
    ------
    SettingError
        The value of a field has the wrong type or is outside its limit.
    """

    def __post_init__(self) -> None:
        for name, (kinds, limit) in _rules(cast(Any, type(self))).items():
            value = getattr(self, name)
            if isinstance(value, np.generic):  # NumPy's numbers cannot be written as JSON
                value = value.item()
                object.__setattr__(self, name, value)
            if value is None and NoneType in kinds:
                continue
            if not _fits(value, kinds):
                self.refuse(name, " or ".join(_words(kinds)))
            if limit is not None and not limit.holds(value):
                self.refuse(name, limit.wanted + (" or null" if NoneType in kinds else ""))

    def refuse(self, name: str, wanted: str) -> None:
        """Raise a `SettingError` that says that the field `name` must be `wanted`.

        `wanted` is a text such as "at least 1".
        """
        raise SettingError(type(self), name, getattr(self, name), wanted)


def check_choice(name: str, value: object, choices: Collection[str]) -> None:
    """Raise `InputError` if an argument, called `name`, is not one of the words in `choices`."""
    if value not in choices:
        raise InputError(f"{name}={value!r:.40}: must be {one_of(choices).wanted}")


def check_whole(name: str, value: object, least: int = 1, *, or_none: bool = False) -> None:
    """Raise `InputError` if an argument, called `name`, is not a whole number of at least `least`.

    None is always an error here, even with `or_none`. If the argument may be None, the caller tests
    for None first, and calls this function only for other values. `or_none` only makes the error
    message end in "or None".
    """
    if not isinstance(value, Integral) or isinstance(value, bool) or int(value) < least:
        none = ", or None" * or_none
        raise InputError(f"{name}={value!r:.40}: must be a whole number of at least {least}{none}")


def check_positive(name: str, value: object, *, or_none: bool = False) -> None:
    """Raise `InputError` if an argument, called `name`, is not a finite number above 0.

    None is always an error here, even with `or_none`. If the argument may be None, the caller tests
    for None first, and calls this function only for other values. `or_none` only makes the error
    message end in "or None".
    """
    limit = above(0)
    if not isinstance(value, Real) or isinstance(value, bool) or not limit.holds(value):
        raise InputError(f"{name}={value!r:.40}: must be {limit.wanted}{', or None' * or_none}")


class Description(NamedTuple):
    """The description of a setting, for ``--help``.

    Attributes
    ----------
    name, meaning
        The name of the field, and what it means.
    allowed
        The allowed values in words, such as "a whole number, at least 1, or null".
    """

    name: str
    meaning: str
    allowed: str


def describe(owner: type) -> Iterator[Description]:
    """Yield a description, for ``--help``, of each setting of a class.

    Settings are the fields that were made by the function `setting`.
    """
    hints = get_type_hints(owner)
    for one in fields(owner):
        if "meaning" in one.metadata:
            limit: Limit | None = one.metadata["limit"]
            kinds = _words(_kinds(hints[one.name]))
            wanted, null = limit.wanted if limit else "", "null" in kinds
            kind = " or ".join(name for name in kinds if name != "null")
            # Many limits say the type, too.
            allowed = wanted or kind
            if wanted and kind in ("a whole number", "a number") and "number" not in wanted:
                allowed = f"{kind}, {wanted}" + "," * null
            if null and not wanted.endswith(" or null"):
                allowed += " or null"
            yield Description(one.name, one.metadata["meaning"], allowed)


@cache
def _rules(owner: Any) -> dict[str, tuple[tuple[Any, ...], Limit | None]]:
    """Return the allowed types and the limit of each setting of a class, by the setting's name."""
    hints = get_type_hints(owner)
    made: tuple[Field[Any], ...] = fields(owner)
    return {
        one.name: (_kinds(hints[one.name]), one.metadata["limit"])
        for one in made
        if "limit" in one.metadata
    }


def _kinds(hint: Any) -> tuple[Any, ...]:
    """Return the member types of a union in a type hint; the type itself if it is not a union."""
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def _fits(value: object, kinds: tuple[Any, ...]) -> bool:
    """Return whether `value`, which is not None, has at least one of the types in `kinds`.

    NumPy's numbers count as numbers, an integer also counts as a float, and a bool does not count
    as a number. A tuple counts as a list, and a list as a tuple. Of its items, only one of each
    Python type is tested, as there may be millions.

    The types that can be tested are int, float, bool, str, and lists and tuples with a type for
    their items, such as ``list[str]``. NoneType is ignored. Every value fits any other type, such
    as dict.
    """
    return any(_is(value, kind) for kind in kinds)


def _is(value: object, kind: Any) -> bool:
    if kind in NUMBERS:
        # Python's bool is a subclass of int, but it is not a number to the user.
        return isinstance(value, NUMBERS[kind]) and not isinstance(value, bool)
    if kind in (bool, str):
        return isinstance(value, kind)
    if get_origin(kind) in (list, tuple):
        # Lists may hold millions of words, so one item of each type is checked.
        return isinstance(value, list | tuple) and all(
            _is(item, get_args(kind)[0]) for item in {type(one): one for one in value}.values()
        )
    return kind is not NoneType


def _words(kinds: tuple[Any, ...]) -> list[str]:
    """Return the name of each type in plain words, such as "a whole number" for int."""
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
    names |= {NoneType: "null", dict: "name=value pairs", list: "a list"}
    names |= dict.fromkeys([list[str], tuple[str, ...]], "a list of strings")
    names |= {list[int]: "a list of whole numbers"}
    plain = (names.get(kind) or names.get(get_origin(kind)) for kind in kinds)
    return [name or kind.__name__ for name, kind in zip(plain, kinds, strict=True)]


HOME = re.compile(r"(?:(?<=[=\[,:'\"])|(?<=///))~(?=/)")
"""Matches ``~`` at the start of a path, as in ``key=~/a.txt`` or ``key=[~/a.txt,'~/b.txt']``."""


def with_home(value: Any) -> Any:
    """Return a value with the home folder in place of ``~``, as in ``~/a.txt`` and ``key=~/a.txt``.

    Parameters
    ----------
    value
        A string, such as ``~/a.txt`` or ``key=[~/a.txt,~/b.txt]``; or a list, a dictionary or a
        `Settings` object that holds strings. The keys of a dictionary are not changed, and neither
        is the field ``pattern`` of a `Settings` object, which is a regular expression. Values of
        other types are returned unchanged.
    """
    if is_dataclass(value) and not isinstance(value, type):
        old = {one.name: getattr(value, one.name) for one in fields(value)}
        new = {name: with_home(one) for name, one in old.items() if name != "pattern"}
        changed = {name: one for name, one in new.items() if one != old[name]}
        return replace(value, **changed) if changed else value
    if isinstance(value, list):
        return [with_home(one) for one in value]
    if isinstance(value, dict):
        return {name: with_home(one) for name, one in value.items()}
    if isinstance(value, str) and "~" in value:
        return HOME.sub(lambda _: str(Path.home()), f"={value}")[1:]
    return value
