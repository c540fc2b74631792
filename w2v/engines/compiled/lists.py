"""List, for each word or tree node of a training step, where its gradients are kept.

This is compiled code. A word has a row of the gradient buffer for each of its gradients in the
step. At the end of the step, the rows in its list are added up. `Lists` describes the lists.
"""

from typing import Any

import numpy as np

from w2v.engines.compiled.functions import inlined, inner
from w2v.engines.compiled.rows import ALONE
from w2v.engines.compiled.simd import ZERO, select, unsigned
from w2v.engines.compiled.structures import F32, I32, Lists, Parts, Planning, Sizes

BEYOND: Any = np.int64(2**31)
"""A number above those of all rows of the gradient buffer."""


@inlined
def lists_of(lists: Lists, n: int) -> Lists:
    """Select the lists of gradient rows of one training step from those of several steps.

    A list says which rows of the gradient buffer are added up for a word. The arrays of ``lists``
    have a row for each step. The result has row ``n`` of each array.
    """
    return Lists(lists.words[n], lists.heads[n], lists.next[n], lists.places[n])


@inlined
def add_row(
    word: int, row: int, begin: int, joined: int, count: int, heads: I32, lists: Lists
) -> int:
    """Add a row of the gradient buffer to the list of its word; return the new number of lists.

    A list links the rows whose gradients are added up for one word, or tree node, in a training
    step (one update of the model). For words, the gradients of each half of the step are added up
    separately, so that two threads can do one half each. Rows of the first half must be added
    first; the list marks where the second half begins.

    Parameters
    ----------
    begin
        The first row of the half that ``row`` is in; 0 for tree nodes, which have no halves.
    joined
        One thread computes the rows ``joined`` to ``row``. If the list ends with one of them,
        ``row`` is not listed: its gradient will be added to that row. `BEYOND`: always list it.
    count, heads
        The number of lists so far, and the last row of each word's list, or -1. ``heads`` is
        updated. (``lists.heads`` has the first rows.)
    lists
        Updated. In ``lists.next``, `ALONE` marks a row with the only gradient of its word so far.
    """
    head = np.int64(heads[unsigned(word)])
    known, same, joins = head >= 0, head >= begin, head >= joined
    # A row that joins the last row is in no list. Any other row begins a list, or becomes its last.
    # Selected without branches, which would often be mispredicted.
    last, place = select(known, head, row), select(joins, head, row)
    after = select(joins, np.int64(-1), select(same, np.int64(row), ~row))
    number = unsigned(count)
    lists.words[number], lists.heads[number] = word, row  # overwritten by the next list unless new
    lists.next[unsigned(row)] = select(known, np.int64(-1), ALONE)
    lists.next[unsigned(last)] = select(known, after, ALONE)
    lists.places[unsigned(row)] = heads[unsigned(word)] = place
    return int(count + (not known))


@inner
def keep_lists(count: int, every: bool, heads: I32, lists: Lists) -> int:
    """Remove the lists of words with only one gradient in a training step; return how many remain.

    A list has the rows of the gradient buffer that are added up for a word or tree node. A single
    gradient needs no sum and can update the model directly. The element of ``lists.places`` for its
    row therefore becomes `ALONE`. If ``every`` is true, no list is removed, and no element becomes
    `ALONE`. The remaining lists are moved to the front. ``count`` is the number of lists before.
    ``heads`` (the last row of each word's list) is reset to -1 for all words with a list.
    """
    several = ZERO
    for n in range(unsigned(count)):
        word, row = lists.words[n], unsigned(lists.heads[n])
        heads[unsigned(word)] = -1
        # Each list is written, and overwritten by the next one unless it is kept.
        number = unsigned(several)
        lists.words[number], lists.heads[number] = word, row
        after = np.int64(lists.next[row])
        single = after == ALONE
        lists.next[row] = select(single, np.int64(-1), after)
        lists.places[row] = select(single & (not every), np.int64(ALONE), np.int64(row))
        several += every or not single
    return several


@inner
def list_inputs(sizes: Sizes, centers: int, half: int, ids: I32, heads: I32, lists: Lists) -> int:
    """For each input word of a training step, list the rows of the gradient buffer to add up.

    Each strip (some consecutive center words) has a row for every position at which it reads a
    word's input vector. A word gets a list of its rows, in ascending order. (Without subwords, a
    word that is read only once has no list: its gradient updates the model directly.) If
    `Sizes.halves` is true, one thread computes a whole half of the step and adds up a word's
    gradients in the word's first row there; only this row is listed. Returns the number of lists in
    ``lists``.

    ``centers`` is the number of center words, ``half`` the number of strips in the first half.
    ``ids`` are the words from ``sizes.window`` positions before the first center word on, -1 where
    there is none. ``heads`` is working memory, one element per word, -1 before and after the call.
    """
    lists.places[:] = -1  # also for rows without a word
    skipped, extra = (0, 2 * sizes.window) if sizes.windows else (sizes.window, 0)
    count, length = ZERO, sizes.strip * sizes.tile
    for strip in range(-(-centers // length)):
        place, row = strip * length + skipped, strip * sizes.input_slots
        begin = (half if strip >= half else ZERO) * sizes.input_slots
        joined = begin if sizes.halves else BEYOND
        for j in range(min(length, centers - strip * length) + extra):
            word = ids[place + j]
            if word >= 0:
                count = add_row(word, row + j, begin, joined, count, heads, lists)
    return keep_lists(count, sizes.parts, heads, lists)


@inner
def list_band(
    sizes: Sizes, centers: int, half: int, ids: I32, noise: I32, heads: I32, lists: Lists
) -> int:
    """For each output word of a training step, list the rows of the gradient buffer to add up.

    This is for negative sampling, where output words are words to predict and noise words. The
    center words of a tile share noise words; a strip consists of one or more tiles. A strip has a
    row for every position whose word it may predict, and for every noise word of its tiles. A word
    with several rows gets a list of them, ordered by tile. (A single gradient updates the model
    directly.) If `Sizes.halves` is true, one thread computes a whole half of the step and adds up a
    word's gradients in the word's first row there; only this row is listed. Returns the number of
    lists in ``lists``.

    ``centers`` is the number of center words, ``half`` the number of strips in the first half.
    ``ids`` are the words from ``sizes.window`` positions before the first center word on, -1 where
    there is none. ``noise`` has the noise words, tile by tile. ``heads`` is working memory, one
    element per word, -1 before and after the call.
    """
    lists.places[:] = -1
    count, skipped = ZERO, sizes.window - sizes.reach
    tiles = -(-centers // sizes.tile)
    for tile in range(tiles):
        strip, number = tile // sizes.strip, tile % sizes.strip
        row = strip * sizes.slots + number * sizes.tile
        begin = (half if strip >= half else ZERO) * sizes.slots
        joined = begin if sizes.halves else BEYOND
        # The words after the tile belong to the next tile of the strip, if there is one.
        ends = number + 1 == sizes.strip or tile + 1 == tiles
        for j in range(sizes.tile + 2 * sizes.reach * ends):
            word = ids[tile * sizes.tile + skipped + j]
            if word >= 0:
                count = add_row(word, row + j, begin, joined, count, heads, lists)
        row = (strip + 1) * sizes.slots - (sizes.strip - number) * sizes.noise
        for k in range(sizes.noise):
            count = add_row(
                noise[tile * sizes.noise + k], row + k, begin, joined, count, heads, lists
            )
    return keep_lists(count, False, heads, lists)


@inner
def list_rows(nodes: I32, starts: I32, tiles: int, unit: int, heads: I32, lists: Lists) -> int:
    """For each tree node of a training step, list the rows of the gradient buffer to add up.

    The buffer has a row for each node of each tile (center words that are scored together). One
    thread computes ``unit`` consecutive tiles, and adds up a node's gradients from these tiles in
    the node's first row among them. Only these first rows are listed, in ascending order. A node of
    only one tile has no list: its gradient updates the model directly. Returns the number of lists.

    ``nodes`` has the tree node of each row, -1 if there is none. ``starts`` has the first row of
    each tile, and last the number of rows. ``heads`` is working memory, one element per node, -1
    before and after the call.
    """
    lists.places[: len(nodes)] = -1
    count = ZERO
    for first in range(0, tiles, unit):
        joined: Any = np.int64(starts[first])
        for row in range(joined, starts[min(first + unit, tiles)]):
            if nodes[row] >= 0:
                count = add_row(nodes[row], row, ZERO, joined, count, heads, lists)
    return keep_lists(count, False, heads, lists)


@inner
def list_parts(
    parts: Parts,
    ids: I32,
    words: I32,
    count: int,
    numbers: I32,
    rows: I32,
    ends: I32,
    members: I32,
    shares: F32,
    scratch: Planning,
) -> int:
    """With subwords, list the rows of words and n-grams that a training step will update.

    The vector of a word is a weighted sum of rows of the input matrix, its own and those of its
    n-grams. For each distinct row, the words of the step whose sums contain it are listed, because
    their gradients update it. Returns the number of distinct rows.

    Parameters
    ----------
    ids
        The words of the step, in the order of the text; -1 where there is none.
    words, count
        The first ``count`` elements of ``words`` are the distinct words whose vectors the step
        reads.
    numbers
        Output: the index in ``words`` of each word of ``ids``; -1 if it is not there.
    rows
        Output: the distinct rows.
    ends
        Output: where the list of each row ends (excluded) in ``members`` and ``shares``, and the
        next list begins.
    members
        Output: the listed words, as indices in ``words``.
    shares
        Output: the factor of each listed word's gradient in the row's gradient.
    """
    heads, known, places = scratch.heads, scratch.parts, scratch.part_places
    for n in range(count):
        heads[words[n]] = n
    for place in range(len(ids)):
        numbers[place] = heads[ids[place]] if ids[place] >= 0 else -1
    for n in range(count):
        heads[words[n]] = -1
    found = entry = ZERO
    for n in range(count):
        for k in range(parts.starts[words[n]], parts.starts[words[n] + 1]):
            row = unsigned(parts.rows[unsigned(k)])
            listed = np.int64(known[row])
            is_new: Any = listed < 0
            number = select(is_new, found, listed)
            known[row] = number
            # Each row is written, and overwritten by the next one unless it is new.
            rows[unsigned(found)], ends[unsigned(found + 1)] = row, 0
            found += is_new
            ends[unsigned(number + 1)] += 1
            places[unsigned(entry)] = number
            entry += 1
    ends[0] = 0
    for place in range(unsigned(found)):
        known[unsigned(rows[place])] = -1
        ends[place + unsigned(1)] += ends[place]
    # `ends` has the starts of rows, and is advanced to their ends while elements are stored.
    entry = ZERO
    for n in range(count):
        for k in range(parts.starts[words[n]], parts.starts[words[n] + 1]):
            row = unsigned(places[unsigned(entry)])
            end = unsigned(ends[row])
            members[end], shares[end] = n, parts.shares[unsigned(k)]
            ends[row] += 1
            entry += 1
    return int(found)
