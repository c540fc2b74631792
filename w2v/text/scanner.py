"""Compiled kernels of tokenizing: every function for text that Numba compiles is in this file.

A table of types is five arrays. ``lines`` holds the types as UTF-8, each followed by a line feed;
type i begins at ``starts[i]``, and ``starts[size]`` is the end. ``slots`` is an open-addressing
hash table with linear probing: a slot is 0, or 32 bits of a type's hash above its number plus one.
Its length is a power of two.

Nothing here holds Python's lock, and threads share nothing that is written.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numba
import numpy as np
from numpy.typing import NDArray

from w2v.jit import one_process_at_a_time
from w2v.text.tokenizer import INNER, LETTER, MARK

U8 = NDArray[np.uint8]
U64 = NDArray[np.uint64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
Function = TypeVar("Function", bound=Callable[..., Any])

LINE_FEED = np.uint8(10)
# FNV-1a (Fowler, Noll and Vo 1991) takes the bytes as they are scanned.
FNV_BASIS = np.uint64(0xCBF29CE484222325)
FNV_PRIME = np.uint64(0x100000001B3)
# Fibonacci hashing (Knuth 1973, 6.4): its upper bits depend on all bits of what it multiplies.
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
HALF = np.uint64(32)
LOW = np.uint64(0xFFFFFFFF)
ONE = np.uint64(1)
SLOTS = 1 << 14
"""Of a block's table at the start."""


def compiled(function: Function) -> Function:
    """Compiled at the first call, kept on disk."""
    decorator: Any = numba.njit(nogil=True, cache=True)
    decorated: Function = decorator(function)
    return decorated


class Scan(NamedTuple):
    """What a block of text holds.

    Attributes
    ----------
    ids : int32 (tokens,)
        Numbers of the types by first appearance in the block.
    ends : int64 (documents,)
        Tokens up to the end of each document.
    filled : bool (documents,)
        Whether the document holds anything but white space.
    lines : uint8
        The types.
    size : int
        How many types.
    """

    ids: I32
    ends: I64
    filled: NDArray[np.bool_]
    lines: U8
    size: int


@compiled
def character(data: U8, at: int) -> tuple[Any, int]:
    """The code point at a place of valid UTF-8, and the bytes it takes."""
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
    """The number of ``data[begin:end]``, whose FNV-1a is ``code``; it is ``size`` where the type
    is new, and written then. The caller sees to the room."""
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
    """The same table with that many slots, a power of two."""
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
    """Find the tokens of a block; returns the fields of a `Scan`.

    Parameters
    ----------
    data : uint8
        Valid UTF-8.
    stops : int64 (documents,)
        Where each document ends; the last is the end of the data.
    kinds : uint8 (1114112,)
        See `w2v.text.tokenizer.Tokenizer.kinds`.
    """
    # Two tokens in a document have something between them.
    most = len(data) // 2 + len(stops) + 1
    ids = np.empty(most, np.int32)
    starts = np.empty(most + 1, np.int64)
    starts[0] = 0
    lines = np.empty(len(data) + most, np.uint8)
    slots = np.zeros(SLOTS, np.uint64)
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
                if kind < MARK:
                    break
                if kind == INNER:
                    if at + width == stop:
                        break
                    point, _ = character(data, at + width)
                    if kinds[point] != LETTER:
                        break
            if 2 * size >= len(slots):
                slots = grown(slots, 4 * len(slots))
            found = number(slots, lines, starts, size, data, begin, at, code)
            size += found == size
            ids[tokens] = found
            tokens += 1
        ends[document] = tokens
        filled[document] = seen != 0
    # Copies, so that the room that was not needed goes.
    return ids[:tokens].copy(), ends, filled, lines[: starts[size]].copy(), size


@compiled
def merge(
    lines: U8, count: int, ids: I32, slots: U64, known: U8, starts: I64, size: int, counts: I64
) -> int:
    """Add a block's types to a table that has room for them, and count its tokens there.

    Parameters
    ----------
    lines, count
        The block's types; equal ones may be among them.
    ids : int32 (tokens,)
        The block's tokens; renumbered in place.
    slots, known, starts, size
        The table; ``known`` are its lines.
    counts : int64
        Of the table's types; added to.

    Returns
    -------
    int
        The new size.
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


class Table:
    """All types of a corpus, with their counts.

    A type takes 27 to 45 bytes, and its UTF-8 with a line feed once to one and a half times; more
    for the moment in which one of the arrays grows.
    """

    def __init__(self) -> None:
        self.size = 0
        self.slots = np.zeros(1 << 16, np.uint64)
        self.lines = np.empty(1 << 20, np.uint8)
        self.starts = np.zeros(1 << 16, np.int64)
        self.counts = np.zeros(1 << 16, np.int64)

    def add(self, lines: bytes, count: int, ids: I32) -> I32:
        """Take in a block: its types as lines, and its tokens; returns these by the numbers here.

        ``ids`` is overwritten.
        """
        while 4 * (self.size + count) > 3 * len(self.slots):
            self.slots = grown(self.slots, 2 * len(self.slots))
        self.lines = room(self.lines, int(self.starts[self.size]) + len(lines))
        self.starts = room(self.starts, self.size + count + 1)
        self.counts = room(self.counts, self.size + count)
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

    def types(self) -> memoryview:
        """The types as lines."""
        return self.lines[: self.starts[self.size]].data

    def totals(self) -> I64:
        """Tokens of each type: int64 (types,)."""
        return self.counts[: self.size]


def room(array: NDArray[Any], length: int) -> NDArray[Any]:
    """The array, or a longer one that begins with it and goes on with zeros."""
    if length <= len(array):
        return array
    longer = np.zeros(max(length, len(array) * 3 // 2), array.dtype)
    longer[: len(array)] = array
    return longer


def prepare() -> None:
    """Compile the kernels, or load them from disk."""
    nothing = np.frombuffer(b"a", np.uint8)
    with one_process_at_a_time(scan):
        ids, *_ = scan(nothing, np.ones(1, np.int64), nothing)
        Table().add(b"a\n", 1, ids)


def scan_block(data: bytes, stops: I64, kinds: bytes) -> Scan:
    """See `scan`."""
    return Scan(*scan(np.frombuffer(data, np.uint8), stops, np.frombuffer(kinds, np.uint8)))
