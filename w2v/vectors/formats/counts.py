"""Read a file of words and counts, for vectors whose own file has no counts."""

import re
import warnings
import zlib
from collections.abc import Sequence
from lzma import LZMAError
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from w2v.compression import open_binary
from w2v.errors import InputError

LINES = (
    re.compile(r" *(?P<word>.*?[^ \t]) *[\t ,;] *(?P<count>\d{1,18}) *"),
    re.compile(r" *(?P<count>\d{1,18})[ \t]+(?P<word>.*[^ \t]) *"),  # as uniq -c writes
)


def read_counts(path: Path, words: Sequence[str]) -> NDArray[np.int64]:
    """Read how often each word occurs from a file of words and counts.

    The result is int64, with 0 for words that are not in the file. If a word is in several lines,
    the first one is used.

    Parameters
    ----------
    path
        A text file in UTF-8, decompressed if its name ends in .gz, .bz2, .xz or .zst. Each line is
        a word, then a tab, a space, a comma or a semicolon, then a count; or, in all lines, first
        the count, then spaces or a tab, then the word. The first line may be a header.

    Raises
    ------
    InputError
        The file cannot be read, a line has another form, or none of `words` has a count.

    Warns
    -----
    UserWarning
        Some of `words` have no count.
    """
    try:
        with open_binary(path) as file:
            text = file.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: byte {error.start} is not UTF-8") from None
    except (OSError, EOFError, LZMAError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read ({error})") from None
    lines = [line.strip("\r") for line in text.split("\n")]
    counted: dict[str, int] = {}
    pattern = max(LINES, key=lambda form: sum(map(bool, map(form.fullmatch, lines[:100]))))
    for number, line in enumerate(lines, start=1):
        found = pattern.fullmatch(line)
        if found:
            word, count = found["word"], int(found["count"])
            counted.setdefault(word, count)
            if len(word) > 2 and word[0] == word[-1] == '"':  # as CSV files quote it
                counted.setdefault(word[1:-1].replace('""', '"'), count)
        elif line.strip() and number > 1:
            raise InputError(
                f"{path}: line {number} is {line[:80]!r}; a word, a tab, a space or a comma, and "
                "a count are needed"
            )
    counts = np.array([counted.get(word, 0) for word in words], np.int64)
    lacking = [word for word in words if word not in counted]
    if len(lacking) == len(words):
        raise InputError(f"{path}: has no count of any of the {len(words):,} words")
    if lacking:
        warnings.warn(
            f"{path}: {len(lacking):,} of {len(words):,} words have no count, such as "
            f"{lacking[0]!r}; they count 0",
            stacklevel=3,
        )
    return counts
