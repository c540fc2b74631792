"""Look words up: which spellings are tried, and the error message for an unknown word.

The spellings differ in spaces and punctuation. For each of them, `WordVectors.find` also accepts a
word that differs from it only in case.
"""

import difflib
from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np

from w2v.errors import InputError
from w2v.text.punctuation import PLAIN

MIN_ALPHABETICAL = 100
"""For fewer words, `alphabetical` returns False, and no warning says that they are not ordered by
frequency. A short list may be alphabetical by chance, or because a person sorted it."""


@lru_cache(1 << 14)  # the words of a benchmark are looked up in one model after the other
def spellings(word: str) -> tuple[str, ...]:
    """Return the spellings under which `WordVectors.find` tries to find a word, in this order.

    They are the word itself; the word with ``_`` for spaces; and the word with ``_`` for spaces and
    with ASCII apostrophes and hyphens for typographic ones. Equal ones are returned once.
    """
    joined = "_".join(word.split())
    return tuple(dict.fromkeys((word, joined, joined.translate(PLAIN))))


def unknown_word(word: object, words: Sequence[str]) -> str:
    """Return the error message for a word without a vector, with similar words if there are any.

    Parameters
    ----------
    word
        The word that was asked for, or an object that is not a word.
    words
        The words that have vectors.
    """
    message = f"the word {word!r} is not among the {len(words):,} words"
    if not isinstance(word, str):
        return f"{message}; a word is a string"
    # Comparing with all words would take seconds; a misspelled word mostly begins correctly.
    first = word[:1].casefold()
    alike = [known for known in words if known[:1].casefold() == first]
    same = [known for known in alike if known.casefold() == word.casefold()]
    close = same or difflib.get_close_matches(word, alike, n=3)
    return f"{message}; close to it: {', '.join(map(repr, close))}" if close else message


def word_list(name: str, words: object, least: int = 1) -> list[str]:
    """Check that an argument is a list, or another iterable, of strings; return it as a list.

    Parameters
    ----------
    name
        The name of the argument, for error messages.
    words
        The value of the argument.
    least
        The smallest number of words allowed.

    Raises
    ------
    InputError
        `words` is a string, is not iterable, has fewer than `least` items, or an item is not a
        string.
    """
    if isinstance(words, str | bytes) or not isinstance(words, Iterable):
        raise InputError(f"{name}={words!r:.60}: must be a list of words")
    found = list(words)
    if len(found) < least or not all(isinstance(word, str) for word in found):
        raise InputError(f"{name}={found!r:.60}: must be a list of words")
    return [str(word) for word in found]


def alphabetical(words: Sequence[str]) -> bool:
    """Return whether words are almost in alphabetical order, ascending or descending.

    This is so if, in a sample from the whole list, the rank correlation of position and
    alphabetical order is above 0.9 or below -0.9, with or without regard to case. For fewer than
    100 words, False is returned.
    """
    if len(words) < MIN_ALPHABETICAL:
        return False
    places = np.linspace(0, len(words) - 1, min(len(words), 1000)).astype(np.intp)
    sample = [words[place] for place in places]
    orders = (sample, [word.casefold() for word in sample])
    ranks = [np.argsort(np.argsort(np.array(order), kind="stable")) for order in orders]
    return any(abs(np.corrcoef(rank, places)[0, 1]) > 0.9 for rank in ranks)
