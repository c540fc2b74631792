"""Which words of a file are read: all, the first ones, or those of a list."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from w2v.errors import InputError


@dataclass(frozen=True)
class Selection:
    """The words that are wanted.

    Attributes
    ----------
    limit
        At most this many, the first ones of the file; None: all.
    words
        Only these; None: any.

    Raises
    ------
    InputError
        The limit is no whole number from 1 on, or the words are no list of strings.
    """

    limit: int | None = None
    words: Collection[str] | None = None

    def __post_init__(self) -> None:
        limit, words = self.limit, self.words
        if limit is not None and (
            not isinstance(limit, int | np.integer) or isinstance(limit, bool) or limit < 1
        ):
            raise InputError(f"limit={limit!r:.40}: must be a whole number of at least 1, or None")
        if words is None:
            return
        if isinstance(words, str) or not words or not all(isinstance(w, str) for w in words):
            raise InputError(f"words={words!r:.40}: must be a list of words, or None")
        object.__setattr__(self, "words", frozenset(words))

    @property
    def everything(self) -> bool:
        """Whether all words are wanted."""
        return self.limit is None and self.words is None

    def rows(self, words: Sequence[str]) -> NDArray[np.intp]:
        """Return the rows of the wanted words among all words of a file."""
        if self.words is None:
            return np.arange(len(words))[: self.limit]
        rows = [row for row, word in enumerate(words) if word in self.words]
        return np.array(rows, np.intp)[: self.limit]

    def encoded(self, encoding: str) -> frozenset[bytes] | None:
        """Return the words as a file of this encoding has them; None: any."""
        if self.words is None:
            return None
        return frozenset(word.encode(encoding, "replace") for word in self.words)

    def full(self, count: int) -> bool:
        """Return whether no word is missing when `count` different words have been read."""
        return count == self.limit or (self.words is not None and count == len(self.words))
