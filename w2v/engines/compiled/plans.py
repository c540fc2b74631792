"""Prepare training steps before their gradients are computed: sub-sampling, and plans of steps.

This is compiled code. A training step is one update of the model, by some thousands of words. Its
plan has everything about the step that does not depend on the model: its words, its random numbers,
the tree nodes with which its words are scored (``tree_nodes.py``), and lists of the rows of the
gradient buffer that belong to each word or node (``lists.py``).
"""

from typing import Any

import numpy as np

from w2v import sampling
from w2v.engines.compiled.functions import inlined, inner
from w2v.engines.compiled.lists import list_band, list_inputs, list_parts, lists_of
from w2v.engines.compiled.simd import ZERO, unsigned
from w2v.engines.compiled.structures import (
    BLOCK,
    F32,
    I32,
    U32,
    Planning,
    Plans,
    Problem,
    Shard,
    Sizes,
    Source,
)
from w2v.engines.compiled.tree_nodes import list_nodes, list_paths, sort_centers
from w2v.engines.step import NOISE_WORDS, SUBSAMPLING, WINDOW_SIZES
from w2v.sampling import SPACING

threefry = inlined(sampling.threefry)


@inner
def fill_bits(key: sampling.Key, first: int, bits: U32, more: U32) -> None:
    """Fill two arrays with random bits, for sub-sampling.

    The bits are a function of a key and a counter, so that any thread can compute them in any
    order. There are 64 bits for each counter. Those for the counter ``first`` + i are stored as two
    numbers, in ``bits[i]`` and ``more[i]``. They equal the two results of `w2v.sampling.draw` for
    the purpose `SUBSAMPLING`. If ``more`` is longer than ``bits``, its last elements are not
    changed.
    """
    stream = np.uint32(SUBSAMPLING)
    for i in range(len(bits)):
        bits[i], more[i] = threefry(key.first, key.second, np.uint32(first + i), stream)


@inner
def subsample(
    problem: Problem, source: Source, key: sampling.Key, block: int, shard: Shard, scratch: Planning
) -> None:
    """Sub-sample block number ``block`` of the text: drop some occurrences of frequent words.

    A block is `BLOCK` consecutive tokens of a shard (part of the text), or fewer at the end. Tokens
    that are not in the vocabulary are dropped, too. The words that are kept, and the numbers of
    words before and after sub-sampling, are stored in ``shard``. Training steps are made of these
    words.
    """
    position, end = block * BLOCK, min((block + 1) * BLOCK, source.ends[-1])
    fill_bits(key, position, scratch.bits[: end - position], scratch.more_bits)
    bits, keep = scratch.bits, problem.keep
    first = place = position
    words = 0
    document = np.searchsorted(source.ends, position, "right")
    while position < end:
        while source.ends[document] <= position:
            document += 1
        start = source.starts[document]
        for t in range(position, min(end, source.ends[document])):
            word = source.ids[unsigned(source.tokens[unsigned(start + t)])]
            # Each word is written, and overwritten by the next one unless it is kept. A branch on a
            # random number would often be mispredicted.
            shard.ids[unsigned(place)] = word
            shard.documents[unsigned(place)] = document
            if word >= 0:
                words += 1
                place += bits[unsigned(t - first)] <= keep[unsigned(word)]
        position = min(end, source.ends[document])
    shard.words[block] = words
    shard.kept[block] = place - first


@inner
def add_up(shard: Shard) -> None:
    """Find where the words of each block of tokens are in the text after sub-sampling.

    The text is trained in parts, called shards, and a shard is sub-sampled block by block.
    ``shard.kept`` has the number of words kept in each block. Element b of ``shard.starts`` becomes
    the number of words kept in all blocks before block b, and the last element the number of words
    kept in the whole shard.
    """
    for block in range(len(shard.kept)):
        shard.starts[block + 1] = shard.starts[block] + shard.kept[block]


@inner
def copy_kept(shard: Shard, first: int, ids: I32, documents: I32) -> None:
    """Copy consecutive words of the sub-sampled text, for a training step, to ``ids``.

    The words begin at position ``first`` of the sub-sampled shard (part of the text). Their
    document numbers are copied to ``documents``, which is equally long. Positions before the start
    or beyond the end of the shard are filled with -1.
    """
    starts, end = shard.starts, min(first + len(ids), shard.starts[-1])
    n = max(first, 0)
    ids[: n - first] = documents[: n - first] = -1
    block = np.searchsorted(starts, n, "right") - 1
    while n < end:
        place = block * BLOCK - starts[block]
        stop = min(end, starts[block + 1])
        for k in range(n, stop):
            ids[unsigned(k - first)] = shard.ids[unsigned(place + k)]
            documents[unsigned(k - first)] = shard.documents[unsigned(place + k)]
        n = stop
        block += 1
    ids[n - first :] = documents[n - first :] = -1


@inner
def draw_noise(problem: Problem, sizes: Sizes, key: sampling.Key, step: int, noise: I32) -> None:
    """For negative sampling, draw the noise words of a training step into ``noise``.

    A tile is a group of center words that share n = `Sizes.noise` noise words. ``noise`` has those
    of the first tile of the step, then those of the next one, and so on. If a tile has the number g
    in the shard (part of the text), its noise words equal

        NoiseDistribution.words(draw_evenly(key, NOISE_WORDS, g * n + np.arange(n), n))

    (see `w2v.sampling`).
    """
    # Compiled code cannot call `draw_evenly`, so its computation is written out.
    last, start = problem.last, problem.start
    size = np.uint64(len(start))
    bits, _ = threefry(key.first, key.second, np.uint32(0), np.uint32(NOISE_WORDS))
    count, apart = np.uint32(sizes.noise), np.uint32(2**32 // sizes.noise)
    tiles = len(noise) // sizes.noise
    for tile in range(tiles):
        group = np.uint32(step * tiles + tile)
        number = np.uint32(bits + np.uint32(group * SPACING) // count)
        for k in range(tile * sizes.noise, (tile + 1) * sizes.noise):
            word = start[(np.uint64(number) * size) >> np.uint64(32)]
            while last[unsigned(word)] < number:
                word += 1
            noise[unsigned(k)] = word
            number = np.uint32(number + apart)


@inner
def draw_windows(
    problem: Problem,
    sizes: Sizes,
    key: sampling.Key,
    first: int,
    ids: I32,
    documents: I32,
    lows: I32,
    highs: I32,
    weights: F32,
) -> None:
    """For CBOW, find the window of each center word of a training step, and its words' weight.

    If window sizes are random, one size is drawn for each strip: `Sizes.strip` * `Sizes.tile`
    consecutive center words. Windows do not extend across documents.

    Parameters
    ----------
    first
        The position of the step's first center word in the sub-sampled shard (part of the text).
    ids, documents
        The words and their document numbers, from ``sizes.window`` words before the first center
        word on; -1 where there is no word.
    lows, highs
        Output: the start and the end (excluded) of each center word's window, as indices in
        ``ids``. The window includes the center word. Elements beyond the last center word get empty
        windows.
    weights
        Output: for each center word, the weight of each vector in the sum or mean over its window.
    """
    m, block = sizes.window, sizes.strip * sizes.tile  # a strip is a `window_block`
    for begin in range(0, len(lows), block):
        farthest: Any = np.int64(m)
        if problem.draws_windows:
            number, purpose = np.uint32((first + begin) // block), np.uint32(WINDOW_SIZES)
            bits, _ = threefry(key.first, key.second, number, purpose)
            farthest = 1 + np.int64((np.uint64(bits) * np.uint64(m)) >> np.uint64(32))
        for k in range(begin, min(begin + block, len(lows))):
            center = m + k
            low = high = center
            document = documents[unsigned(center)]
            if document >= 0:
                low, high = center - farthest, center + farthest + 1
                while documents[unsigned(low)] != document:
                    low += 1
                while documents[unsigned(high - 1)] != document:
                    high -= 1
            lows[unsigned(k)], highs[unsigned(k)] = low, high
            weights[unsigned(k)] = window_weight(problem, ids, low, high, center)


@inlined
def window_weight(problem: Problem, ids: I32, low: int, high: int, center: int) -> np.float32:
    """For CBOW, return the weight of each word vector in the sum or mean over a window.

    The sum or mean predicts the center word. The weight is 1 for a sum, and 1 / n for a mean of n
    words. With subwords, the mean may also be over all rows of the words and of their n-grams; the
    weight is then 1 / the number of these rows. The window consists of the elements ``low`` to
    ``high - 1`` of ``ids`` except element ``center``, which is the center word.
    """
    count = high - low - 1
    if problem.by_rows:
        starts, count = problem.parts.starts, ZERO
        for place in range(low, high):
            if place != center:
                count += starts[ids[place] + 1] - starts[ids[place]]
    return np.float32(1) / np.float32(max(count, 1)) if problem.mean else np.float32(1)


@inlined
def strips_of_half(strips: int) -> int:
    """Return how many of the strips of a training step belong to its first half.

    The text of a step is divided into strips; ``strips`` is their number. A word's gradients are
    added up separately in each half, so that two threads can do one half each.
    """
    return -(-strips // 2)


@inner
def plan(
    problem: Problem,
    sizes: Sizes,
    key: sampling.Key,
    step: int,
    plans: Plans,
    shard: Shard,
    scratch: Planning,
) -> None:
    """Prepare a training step: find its words, its random numbers and where its gradients are kept.

    The plan of the step is stored in ``plans``, where it replaces that of an older step. It does
    not depend on the model's vectors, so threads can prepare several steps at the same time. A
    vector with several gradients in the step has a list of the rows of the gradient buffer that are
    added up (`Lists`). With subwords, all input words have lists.

    ``shard.several[step]`` gets the number of elements that the step uses in three arrays of
    ``plans``:

    - ``center.words``: the input words that have a list.
    - ``outside.words``: the output words, or tree nodes, that have a list.
    - ``part_rows``, with subwords: the rows of the input matrix that make up the vectors of the
      step's words.

    Parameters
    ----------
    key
        The key from which all random numbers of the shard (part of the text) are computed.
    step
        The number of the step in the shard.
    shard
        The shard, already sub-sampled.
    scratch
        The working memory of the calling thread.
    """
    n, heads = step % len(plans.ids), scratch.heads
    ids, noise, nodes = plans.ids[n], plans.noise[n], plans.nodes[n]
    documents, centers = plans.documents[n], step_centers(sizes, shard, step)
    first = step * sizes.step
    copy_kept(shard, first - sizes.window, ids, documents)
    if sizes.windows:
        lows, highs, weights = plans.lows[n], plans.highs[n], plans.weights[n]
        draw_windows(problem, sizes, key, first, ids, documents, lows, highs, weights)
    inputs, outputs = lists_of(plans.center, n), lists_of(plans.outside, n)
    half = strips_of_half(step_strips(sizes, shard, step))
    count = list_inputs(sizes, centers, half, ids, heads, inputs)
    shard.several[step, 0] = count
    if sizes.parts:
        shard.several[step, 2] = list_parts(
            problem.parts,
            ids,
            inputs.words,
            count,
            plans.numbers[n],
            plans.part_rows[n],
            plans.part_ends[n],
            plans.part_words[n],
            plans.part_shares[n],
            scratch,
        )
    if sizes.sorted:
        order = plans.order[n]
        leaves, lows, highs = problem.paths.leaves, plans.lows[n], plans.highs[n]
        sort_centers(leaves, sizes, centers, ids, lows, highs, order, scratch)
        shard.several[step, 1] = list_paths(
            problem.paths,
            sizes,
            centers,
            ids,
            order,
            nodes,
            plans.node_starts[n],
            plans.keys[n],
            plans.key_starts[n],
            heads,
            outputs,
            scratch,
        )
    elif sizes.nodes:
        shard.several[step, 1] = list_nodes(
            problem.paths,
            sizes,
            centers,
            ids,
            nodes,
            plans.node_starts[n],
            plans.keys[n],
            plans.key_starts[n],
            scratch.seen,
            heads,
            outputs,
        )
    else:
        draw_noise(problem, sizes, key, step, noise)
        shard.several[step, 1] = list_band(sizes, centers, half, ids, noise, heads, outputs)


@inlined
def step_centers(sizes: Sizes, shard: Shard, step: int) -> int:
    """Return the number of center words of a training step, which is one update of the model.

    This is `Sizes.step`, or less for the last step of a shard. A shard is a part of the text;
    ``step`` is the number of the step in it.
    """
    return int(min(sizes.step, shard.starts[-1] - step * sizes.step))


@inlined
def step_tiles(sizes: Sizes, shard: Shard, step: int) -> int:
    """Return the number of tiles of a training step.

    A tile is a group of center words that are computed together. ``step`` is the number of the step
    in the shard (part of the text).
    """
    return int(-(-step_centers(sizes, shard, step) // sizes.tile))


@inlined
def step_strips(sizes: Sizes, shard: Shard, step: int) -> int:
    """Return the number of strips into which the text of a training step is divided.

    Threads share the strips. The text is trained in parts, called shards; ``step`` is the number of
    the step in the shard.
    """
    return int(-(-step_centers(sizes, shard, step) // (sizes.strip * sizes.tile)))
