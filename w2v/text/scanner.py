"""Compiled tokenization: Numba kernels that find tokens, and number and count distinct tokens.

The kernels release the GIL. Threads that run them share no array that is written. A table of types
(distinct tokens) consists of three arrays:

- ``lines``: the types in UTF-8, each followed by a line feed.
- ``starts``: where each type begins in ``lines``, and where the last one ends.
- ``slots``: a hash table with linear probing, whose length is a power of two. A free slot is 0. In
  other slots, the upper 32 bits are from the hash of a type, and the lower 32 bits are the index of
  the type plus one.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import numba
import numpy as np
from numpy.typing import NDArray

from w2v.jit import one_process_at_a_time
from w2v.text.tokenizer import INNER, INVISIBLE, LETTER

U8 = NDArray[np.uint8]
U64 = NDArray[np.uint64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
Function = TypeVar("Function", bound=Callable[..., Any])

LINE_FEED = np.uint8(10)
# FNV-1a (Fowler, Noll and Vo 1991) hashes a token byte by byte while it is scanned.
FNV_BASIS = np.uint64(0xCBF29CE484222325)
FNV_PRIME = np.uint64(0x100000001B3)
# Fibonacci hashing (Knuth 1973, 6.4): the upper bits of the product depend on all bits.
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
HALF = np.uint64(32)
LOW = np.uint64(0xFFFFFFFF)
ONE = np.uint64(1)
INITIAL_SLOTS = 1 << 14
"""The initial number of slots of the hash table of the distinct tokens in a block of text."""


def compiled(function: Function) -> Function:
    """Decorator: compile a function with Numba at its first call, and cache the code on disk."""
    decorator: Any = numba.njit(nogil=True, cache=True)
    decorated: Function = decorator(function)
    return decorated


@compiled
def character(data: U8, at: int) -> tuple[Any, int]:
    """Decode the UTF-8 character at ``data[at]``; return its code point and its length in bytes."""
    first = np.int64(data[at])
    if first < 0x80:
        return first, 1
    point = np.int64(data[at + 1]) & 0x3F
    if first < 0xE0:
        return (first & 0x1F) << 6 | point, 2
    point = point << 6 | (np.int64(data[at + 2]) & 0x3F)
    if first < 0xF0:
        return (first & 0x0F) << 12 | point, 3
    return (first & 0x07) << 18 | point << 6 | (np.int64(data[at + 3]) & 0x3F), 4


@compiled
def number(
    slots: U64, lines: U8, starts: I64, size: int, data: U8, begin: int, end: int, code: np.uint64
) -> Any:
    """Return the index of a type (distinct token) in a table of types; add the type if it is new.

    The type is the text ``data[begin:end]`` in UTF-8, and `code` is its FNV-1a hash.

    Parameters
    ----------
    slots, lines, starts, size
        The table: its hash table, the text of its types, the start of each type in this text, and
        the number of types. The arrays must have room for one more type; a new type is written to
        them.

    Returns
    -------
    int
        The index of the type, from 0. It equals `size` if the type was added.
    """
    tag = ((code ^ (code >> HALF)) * GOLDEN) >> HALF
    mask = np.uint64(len(slots) - 1)
    slot = tag & mask
    while slots[slot]:
        entry = slots[slot]
        if entry >> HALF == tag:
            known = np.int64((entry & LOW) - ONE)
            start = starts[known]
            if starts[known + 1] - 1 - start == end - begin:
                at = 0
                while at < end - begin and lines[start + at] == data[begin + at]:
                    at += 1
                if at == end - begin:
                    return known
        slot = (slot + ONE) & mask
    start = starts[size]
    for at in range(end - begin):
        lines[start + at] = data[begin + at]
    lines[start + end - begin] = LINE_FEED
    starts[size + 1] = start + end - begin + 1
    slots[slot] = tag << HALF | np.uint64(size + 1)
    return size


@compiled
def grown(slots: U64, length: int) -> U64:
    """Return a larger copy of the hash table `slots`, with `length` slots, a power of two."""
    new = np.zeros(length, np.uint64)
    mask = np.uint64(length - 1)
    for entry in slots:
        if entry:
            slot = (entry >> HALF) & mask
            while new[slot]:
                slot = (slot + ONE) & mask
            new[slot] = entry
    return new


@compiled
def scan(data: U8, stops: I64, kinds: U8) -> tuple[I32, I64, NDArray[np.bool_], U8, int]:
    """Find the tokens of a block of documents.

    Parameters
    ----------
    data : uint8 (bytes,)
        The documents, one after another, in valid UTF-8.
    stops : int64 (documents,)
        The end of each document in bytes.
    kinds : uint8 (1114112,)
        The kind of each Unicode code point, such as letter or white space; `w2v.text.tokenizer` has
        the constants.

    Returns
    -------
    ids, ends, filled, lines, size
        The index of each token's type (distinct token), the end of each document in tokens, whether
        each document is more than white space, the text of the types, and their number. These are
        the fields of `w2v.text.blocks.TokenizedBlock`, but `lines` is a uint8 array, and the types
        are not yet normalized.
    """
    # At least one byte separates two tokens of a document.
    most = len(data) // 2 + len(stops) + 1
    ids = np.empty(most, np.int32)
    starts = np.empty(most + 1, np.int64)
    starts[0] = 0
    lines = np.empty(len(data) + most, np.uint8)
    slots = np.zeros(INITIAL_SLOTS, np.uint64)
    ends = np.empty(len(stops), np.int64)
    filled = np.zeros(len(stops), np.bool_)
    size = tokens = at = 0
    for document in range(len(stops)):
        stop = stops[document]
        seen = 0
        while at < stop:
            point, width = character(data, at)
            kind = kinds[point]
            seen |= kind
            if kind != LETTER:
                at += width
                continue
            begin = at
            code = FNV_BASIS
            while True:
                for _ in range(width):
                    code = (code ^ np.uint64(data[at])) * FNV_PRIME
                    at += 1
                if at == stop:
                    break
                point, width = character(data, at)
                kind = kinds[point]
                if kind < INVISIBLE:
                    break
                if kind == INNER:
                    ahead, following = at + width, np.int64(INVISIBLE)
                    while ahead < stop and following == INVISIBLE:
                        point, size_ahead = character(data, ahead)
                        following = np.int64(kinds[point])
                        ahead += size_ahead
                    if following != LETTER:
                        break
            if 2 * size >= len(slots):
                slots = grown(slots, 4 * len(slots))
            found = number(slots, lines, starts, size, data, begin, at, code)
            size += found == size
            ids[tokens] = found
            tokens += 1
        ends[document] = tokens
        filled[document] = seen != 0
    # Copies free the memory that was not needed.
    return ids[:tokens].copy(), ends, filled, lines[: starts[size]].copy(), size


@compiled
def merge(
    lines: U8, count: int, ids: I32, slots: U64, known: U8, starts: I64, size: int, counts: I64
) -> int:
    """Add the types (distinct tokens) of a block of text to a table; count the block's tokens.

    Parameters
    ----------
    lines, count
        The types of the block in UTF-8, each followed by a line feed, and their number. Types that
        lower-casing or normalization has made equal get the same index in the table.
    ids : int32 (tokens,)
        For each token of the block, the index of its type in `lines`; overwritten with the index in
        the table.
    slots, known, starts, size
        The table: its hash table, the text of its types, the start of each type in this text, and
        the number of types. The arrays must have room for `count` more types; new types are written
        to them.
    counts : int64
        How often each type of the table occurs in the corpus; increased in place.

    Returns
    -------
    int
        The new number of types in the table.
    """
    numbers = np.empty(count, np.int32)
    at = 0
    for i in range(count):
        end = at
        code = FNV_BASIS
        while lines[end] != LINE_FEED:
            code = (code ^ np.uint64(lines[end])) * FNV_PRIME
            end += 1
        found = number(slots, known, starts, size, lines, at, end, code)
        size += found == size
        numbers[i] = found
        at = end + 1
    for token in range(len(ids)):
        found = numbers[ids[token]]
        ids[token] = found
        counts[found] += 1
    return size


class CompiledTypeTable:
    """The types (distinct tokens) of a corpus and their counts, in a compiled hash table.

    It is a faster replacement of `w2v.text.corpus.TypeTable`. A type takes 27 to 45 bytes, plus 1
    to 1.5 times the bytes of its text. While an array grows, the old and the new one are both in
    memory.
    """

    def __init__(self) -> None:
        self.size = 0
        self.slots = np.zeros(1 << 16, np.uint64)
        self.lines = np.empty(1 << 20, np.uint8)
        self.starts = np.zeros(1 << 16, np.int64)
        self.counts = np.zeros(1 << 16, np.int64)

    def add(self, lines: bytes, count: int, ids: I32) -> I32:
        """Add the new types (distinct tokens) of a block of documents, and count all its tokens.

        The table gives each type an id, and counts how often the type occurs in the corpus.

        Parameters
        ----------
        lines
            The types of the block in UTF-8, each followed by a line feed.
        count
            The number of types in `lines`.
        ids : int32 (tokens,)
            The token ids of the block, each the index of a type in `lines`. Overwritten.

        Returns
        -------
        int32 (tokens,)
            `ids`, overwritten with the ids that the types have in this table.
        """
        while 4 * (self.size + count) > 3 * len(self.slots):
            self.slots = grown(self.slots, 2 * len(self.slots))
        self.lines = with_room(self.lines, int(self.starts[self.size]) + len(lines))
        self.starts = with_room(self.starts, self.size + count + 1)
        self.counts = with_room(self.counts, self.size + count)
        self.size = merge(
            np.frombuffer(lines, np.uint8),
            count,
            ids,
            self.slots,
            self.lines,
            self.starts,
            self.size,
            self.counts,
        )
        return ids

    def lines_of_types(self) -> memoryview:
        """Return the types (distinct tokens) as lines of UTF-8 text, in the order of their ids."""
        return self.lines[: self.starts[self.size]].data

    def totals(self) -> I64:
        """Return how often each type (distinct token) occurs so far, by id: int64 (types,)."""
        return self.counts[: self.size]


def with_room(array: NDArray[Any], length: int) -> NDArray[Any]:
    """Return `array` if it has at least `length` items, else a longer copy padded with zeros.

    The copy has `length` items, or one and a half times as many as `array` if that is more.
    """
    if length <= len(array):
        return array
    longer = np.zeros(max(length, len(array) * 3 // 2), array.dtype)
    longer[: len(array)] = array
    return longer


def prepare() -> None:
    """Compile the functions of this module with Numba, or load them from its cache on disk.

    This is done before the threads that tokenize a text start, so that none of them compiles.
    """
    # As in real calls, data and kinds are read-only, which is part of their type in Numba.
    byte = np.frombuffer(b"\0", np.uint8)
    with one_process_at_a_time(scan):
        ids, *_ = scan(byte, np.ones(1, np.int64), byte)
        CompiledTypeTable().add(b"a\n", 1, ids)
