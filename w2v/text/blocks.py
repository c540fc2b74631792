"""The blocks of documents that tokenizers read, and the tokens that they make of a block."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Block(NamedTuple):
    """Consecutive documents as bytes.

    Attributes
    ----------
    data
        The text, valid UTF-8.
    stops : int64 (documents,)
        The end of each document in `data`; the last is the end of `data`. Documents of white
        space are included.
    whole
        False if the last document continues in the next block.
    done
        The fraction of the source that has been read, from 0 to 1; None if unknown.
    invalid, byte_order_marks
        How many invalid byte sequences, and how many byte order marks, were removed from `data`.
    """

    data: bytes
    stops: NDArray[np.int64]
    whole: bool = True
    done: float | None = None
    invalid: int = 0
    byte_order_marks: int = 0


class TokenizedBlock(NamedTuple):
    """The tokens of a block of documents.

    Attributes
    ----------
    ids : int32 (tokens,)
        The types of the tokens, numbered by first appearance in the block.
    ends : int64 (documents,)
        The number of tokens up to the end of each document.
    filled : bool (documents,)
        Whether the document holds more than white space.
    lines, size
        The types as lines of UTF-8, and their number. Lower-casing and normalizing can have made
        some of them equal.
    """

    ids: NDArray[np.int32]
    ends: NDArray[np.int64]
    filled: NDArray[np.bool_]
    lines: bytes
    size: int


class Numbering(dict[Any, int]):
    """Gives each new key the next number, starting from 0."""

    def __missing__(self, key: Any) -> int:
        self[key] = number = len(self)
        return number
