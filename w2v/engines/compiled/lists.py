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

    For each gradient of a word in a training step, a row is reserved, and this function is called.
    The gradient is written to this row or added to an earlier row of the word. The rows that
    gradients are written to form a linked list: each has the number of the next. They are added up
    at the end of the step, separately for each half of the step's text. For this, a list has the
    rows of the first half first, and marks where the second half begins (`Lists.next`). The
    function must therefore be called for all rows of the first half before those of the second.
    There are three cases:

    - The word has no list yet: the row begins a list.
    - The last row of the word's list has a number of at least ``joined``: the new gradient will be
      added to this last row. The new row is not used, and not in the list.
    - In all other cases, the row becomes the last row of the list.

    If a word has only one gradient in the step, there is nothing to add up. When all rows have been
    added, the caller calls `keep_lists`, which removes the lists of such words unless it is told to
    keep every list. In the hierarchical softmax, tree nodes take the place of output words. Their
    rows are not divided into halves, and ``begin`` is 0.

    Parameters
    ----------
    word, row
        The word, and the number of the row.
    begin
        The number of the first row of the half that ``row`` is in. If the list has only rows before
        ``begin`` so far, the new row is marked as the first one of the second half.
    joined
        `BEYOND` if each gradient is kept in its own row. Otherwise, one thread computes a range of
        rows that includes ``row``, and adds up the gradients of each word in this range as it goes.
        ``joined`` is then the number of the first row of the range.
    count
        The number of lists so far.
    heads
        For each word, the last row of its list so far, after which the next one is added; -1 if
        there is no list. Updated. (``lists.heads`` is different: it has the first row of each
        list.)
    lists
        The lists; updated. A new list gets the number ``count``: element ``count`` of
        ``lists.words`` becomes the word, and that of ``lists.heads`` the first row of the list.
        ``lists.next`` has, for each row, the next row of its list; for the first row of a list, it
        has `ALONE` until the function is called again for the word. ``lists.places`` has, for each
        row, the row to which its gradient is written or added.
    """
    head = np.int64(heads[unsigned(word)])
    known, same, joins = head >= 0, head >= begin, head >= joined
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

    A list has the rows of the gradient buffer to which the gradients of one word, or tree node, are
    written or added in the step (one update of the model). `add_row` has made a list for every
    word. A single gradient needs no sum and can update the model directly. The word's list is then
    removed, and the element of ``lists.places`` for its row becomes `ALONE`. If ``every`` is true,
    no list is removed, and no element becomes `ALONE`.

    Parameters
    ----------
    count
        The number of lists.
    every
        Whether the lists of words with a single gradient are kept, too.
    heads
        For each word, the last row of its list. The elements of all words with a list are reset to
        -1.
    lists
        The lists; those that remain are moved to the front.
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
    """For each input word of a training step, list where its gradients will be kept and added up.

    This is part of preparing the step (`plan`). Input words are the words whose input vectors the
    step reads: for skip-gram the center words, for CBOW the words of all windows. The center words
    of the step are divided into two halves, and a half into strips. Each strip has a row of the
    gradient buffer for every position of the text at which it reads an input word. With CBOW,
    windows overlap, so several strips may have a row for the same position. If a word has at least
    two rows in the step, they form a list, in ascending order of row number. Gradients are added up
    separately for each half, so the list marks where the second half begins (``Lists.next``). With
    subwords, a word with one row has a list, too. Returns the number of lists.

    If `Sizes.halves` is true, a whole half is computed by one thread, which adds up the gradients
    of a word as it goes, in the word's first row in this half. The list then has only the first row
    in each half: one row if all rows of the word are in the same half. For each of the other rows,
    ``Lists.places`` has the number of the word's first row in the same half.

    Parameters
    ----------
    sizes
        The sizes of steps and strips.
    centers
        The number of center words of the step.
    half
        The number of strips in the first half of the step.
    ids
        The words of the step, from ``sizes.window`` words before its first center word on.
    heads
        Working memory: for each word of the vocabulary, the last row of its list so far, after
        which the next one is added; -1 before and after the call. (``Lists.heads`` is different: it
        has the first row of each list.)
    lists
        Output: the lists of the words with at least two rows (with subwords, of all words).
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
    """For each output word of a training step, list where its gradients will be kept and added up.

    This is part of preparing the step (`plan`), for negative sampling. Output words are the words
    to be predicted, and the noise words. The center words of the step are divided into two halves,
    a half into strips, and a strip into tiles, groups that share noise words. Each strip has a row
    of the gradient buffer for every position of the text whose word it may predict, and for each of
    its noise words. Several strips may have a row for the same position. If a word has at least two
    rows in the step, they form a list. It is ordered by tile; in each tile, the rows of words to
    predict come before those of noise words. Gradients are added up separately for each half, so
    the list marks where the second half begins (``Lists.next``). Returns the number of lists.

    If `Sizes.halves` is true, a whole half is computed by one thread, which adds up the gradients
    of a word as it goes, in the word's first row in this half. The list then has only the first row
    in each half: one row if all rows of the word are in the same half. For each of the other rows,
    ``Lists.places`` has the number of the word's first row in the same half.

    Parameters
    ----------
    sizes
        The sizes of steps, strips and tiles.
    centers
        The number of center words of the step.
    half
        The number of strips in the first half of the step.
    ids
        The words of the step, from ``sizes.window`` words before its first center word on.
    noise
        The noise words of the step, strip by strip.
    heads
        Working memory: for each word of the vocabulary, the last row of its list so far, after
        which the next one is added; -1 before and after the call. (``Lists.heads`` is different: it
        has the first row of each list.)
    lists
        Output: the lists of the words with at least two rows.
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
    """For each tree node of a training step, list where its gradients will be kept and added up.

    This is part of preparing the step, for the hierarchical softmax. The center words of a step are
    divided into groups, called tiles. A node gets a gradient from each tile that is scored with it,
    and the gradient buffer has a row for each node of each tile. A thread computes ``unit``
    consecutive tiles, in order. If a node has rows for several of these tiles, only the first of
    these rows is used: the thread adds all their gradients to it. For each of the other rows,
    ``Lists.places`` has the number of the row that is used.

    The rows of a node that are used form a list, in the order of the buffer, and are added up
    later. A node that only one tile of the step is scored with has no list: its gradient updates
    the model at once. Returns the number of lists.

    Parameters
    ----------
    nodes
        The tree node of each row; -1 for a row without a node.
    starts
        The first row of each tile, and one more element: the total number of rows.
    tiles, unit
        The number of tiles of the step, and of those that one thread computes in order.
    heads
        Working memory: for each node, the last row of its list so far, after which the next one is
        added; -1 before and after the call. (``Lists.heads`` is different: it has the first row of
        each list.)
    lists
        Output: the lists of the nodes that several tiles are scored with.
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

    The vector of a word is a weighted sum of rows of the input matrix: the word's own row and those
    of its n-grams. These rows are its summands. A row is updated by the gradients of all words of
    the step that have it as a summand. Therefore these words are listed for each distinct row. This
    is part of preparing the step (`plan`). `move_parts` uses the lists at the end of the step.
    Returns the number of distinct rows.

    Parameters
    ----------
    parts
        The summands of each word of the vocabulary.
    ids
        The words of the step, in the order of the text; -1 where there is no word.
    words, count
        The distinct words whose input vectors the step reads are the first ``count`` elements of
        ``words``.
    numbers
        Output: the index in ``words`` of each word of ``ids``; -1 where there is no word, or if the
        step does not read its input vector, so that it is not in ``words``. This output and the
        next four are rows of arrays of `Plans`, which have a row for each of several steps:
        ``numbers``, ``part_rows``, ``part_ends``, ``part_words`` and ``part_shares``.
    rows
        Output: the distinct rows of the input matrix that are summands of the words.
    ends
        Output: the ends of the rows' lists. The list of row number j is the elements
        ``ends[j - 1]`` (0 for the first row) to ``ends[j] - 1`` of ``members`` and ``shares``.
    members
        Output: the words in the lists, as indices in ``words``.
    shares
        Output: for each word in a list, the factor by which its gradient is multiplied before it is
        added to the gradient of the row.
    scratch
        Working memory.
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
