"""The selection of the words to read from a file of vectors: all, the first ones, or a list."""

import re
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from w2v.errors import InputError
from w2v.settings import check_whole

ESCAPE = re.compile(rb"\\x([0-9a-f]{2})")
r"""Matches an escape such as ``\xe2``, which stands for a byte that is invalid in the encoding."""


@dataclass(frozen=True)
class Selection:
    """The words to read from a file of vectors.

    Attributes
    ----------
    limit
        Read at most this many words, those that come first in the file; None: any number.
    words
        Read only these words, and at most `limit` of them; None: any words.

    Raises
    ------
    InputError
        `limit` is not a whole number of at least 1, or `words` is not a collection of one or more
        strings.
    """

    limit: int | None = None
    words: Collection[str] | None = None

    def __post_init__(self) -> None:
        limit, words = self.limit, self.words
        if limit is not None:
            check_whole("limit", limit, or_none=True)
        if words is None:
            return
        listed = list(words) if isinstance(words, Iterable) and not isinstance(words, str) else []
        if not listed or not all(isinstance(word, str) for word in listed):
            raise InputError(f"words={words!r:.40}: must be a list of words, or None")
        object.__setattr__(self, "words", frozenset(listed))

    @property
    def everything(self) -> bool:
        """Whether all words of the file are selected."""
        return self.limit is None and self.words is None

    def rows(self, words: Sequence[str]) -> NDArray[np.intp]:
        """Return the indices of the selected words in `words`, the words of a file."""
        if self.words is None:
            return np.arange(len(words))[: self.limit]
        rows = [row for row, word in enumerate(words) if word in self.words]
        return np.array(rows, np.intp)[: self.limit]

    def encoded(self, encoding: str) -> frozenset[bytes] | None:
        r"""Return the byte strings that stand for the wanted words (`self.words`) in a file.

        If `self.words` is None, the result is None. `encoding` is the encoding of the file. A word
        that cannot be encoded is left out. When a file is read, bytes that are invalid in the
        encoding become escapes such as ``\xe2``. For a word that contains such escapes, two byte
        strings are returned: one with the escapes, and one with the bytes that they stand for.
        """
        if self.words is None:
            return None
        found = set()
        for word in self.words:
            with suppress(UnicodeEncodeError):
                written = word.encode(encoding)
                escaped = ESCAPE.sub(lambda escape: bytes([int(escape[1], 16)]), written)
                found.add(written)
                if escaped.decode(encoding, "backslashreplace") == word:
                    found.add(escaped)
        return frozenset(found)

    def full(self, count: int) -> bool:
        """Return whether reading can stop after `count` different selected words have been read."""
        return count == self.limit or (self.words is not None and count == len(self.words))


EVERYTHING = Selection()
