"""Two containers: a block of documents as text, and the tokens of a block."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Block(NamedTuple):
    """Consecutive documents from a source of documents, as bytes.

    Attributes
    ----------
    data
        The text of all documents, valid UTF-8.
    stops : int64 (documents,)
        The end of each document in `data`, in bytes; the last end is the end of `data`. Blank
        documents are included.
    whole
        False if the last document continues in the next block.
    done
        The fraction of the source that has been read, from 0 to 1; None if unknown.
    invalid, byte_order_marks
        How many invalid byte sequences were replaced or left out, and how many byte order marks
        were left out, when `data` was read.
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
        The id of each token's type. Types (distinct tokens) are numbered from 0 by first appearance
        in the block.
    ends : int64 (documents,)
        The number of tokens from the start of the block to the end of each document.
    filled : bool (documents,)
        Whether each document holds more than white space in this block.
    lines
        The types in order of their ids, in UTF-8, each followed by a line feed. Some may be
        equal, because lower-casing and normalization come after numbering.
    size
        The number of types.
    """

    ids: NDArray[np.int32]
    ends: NDArray[np.int64]
    filled: NDArray[np.bool_]
    lines: bytes
    size: int


class Numbering(dict[Any, int]):
    """A dictionary that numbers keys: looking up a new key adds it with the next number, from 0."""

    def __missing__(self, key: Any) -> int:
        self[key] = number = len(self)
        return number
