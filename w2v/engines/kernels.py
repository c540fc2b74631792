"""The compiled training loop of ``engine=numba``, for losses that are sums of logistic terms.

Each thread calls `train` with the same arguments, except for its own working memory. The work is
divided into jobs, which the threads share (see `w2v.engines.jobs`). The result of a job does not
depend on the thread that runs it. These kinds of jobs run in this order:

1. `subsample`: sub-sample a block of the text.
2. `plan`: prepare a training step, which is one update of the model by a batch of center words.
   Copy its words, draw its random numbers, and list where each word occurs.
3. `sum_parts`, with subwords: compute the vectors of some of the step's words.
4. `compute_strip`: compute the gradients of a strip, a part of the step's text, from the model
   before the step. Gradients are written to a buffer, with one row for each input vector and each
   output vector. If a word has only one row in the step, its vector is updated at once. For CBOW
   with the hierarchical softmax, three kinds of jobs do this in turn: `read_strip`,
   `compute_sorted` and `share_sorted`.
5. `sum_words`, with subwords: add up the gradients of some of the step's words.
6. `move`: for some of the other words, or rows of the matrix of subwords, add up the gradients in
   a fixed order and update the model.

A strip consists of *tiles*, each of `Sizes.tile` consecutive words of the sub-sampled text; for
CBOW with the hierarchical softmax, of words with similar tree paths. The code for architectures is
in `w2v.engines.windows`, and that for losses in `w2v.engines.band` and `w2v.engines.nodes`; this
module calls both.

This module does not work with ``NUMBA_DISABLE_JIT=1``.
"""

from typing import Any

import numpy as np

from w2v import sampling
from w2v.engines.band import choose_weights, compute_gradients, compute_scores, sum_curvature
from w2v.engines.jobs import finish, take, wait
from w2v.engines.nodes import score_nodes, write_node_gradients
from w2v.engines.plans import add_up, plan, step_centers, subsample
from w2v.engines.rows import choose_targets, gather_rows, limit, prefetch_rows, put_gradients
from w2v.engines.simd import (
    LANES,
    ZERO,
    address,
    compiled,
    inlined,
    inner,
    load_each,
    load_float,
    load_int,
    multiply_add_each,
    prefetch,
    splat,
    store,
    store_each,
)
from w2v.engines.sparse import List, Rows, combine, lengths_squared
from w2v.engines.structures import (
    F32,
    I32,
    LINE,
    MR,
    Band,
    Buffer,
    Plans,
    Problem,
    Scratch,
    Shard,
    Sizes,
    Source,
    Tile,
)
from w2v.engines.tiles import NOISE
from w2v.engines.windows import locate_words, read_windows, share_gradients, write_shares

AHEAD = 4
"""Rows are prefetched this many words before the word is processed."""

WORDS, PARTS = 32, 256
"""The number of words, and of rows of the table of subwords, that one job updates."""


# ---------------------------------------------------------------- gradients


@inlined
def tile_inputs(sizes: Sizes) -> int:
    """Return the number of words whose vectors the input rows of a tile are computed from.

    A tile is a group of consecutive center words. For CBOW, the number is rounded up to a multiple
    of `MR`.
    """
    return int(sizes.input_slots - (sizes.strip - 1) * sizes.tile)


@inner
def read_band(
    sizes: Sizes, matrix: F32, ids: I32, noise: I32, place: int, tile: Tile, own: Band
) -> None:
    """For negative sampling, copy the output vectors for a tile to the thread's working memory.

    A tile is a group of consecutive center words. Copied are the output vectors of nearby words,
    except those that the strip's tile before has copied, and of noise words. Their squared lengths
    are computed as well.

    Parameters
    ----------
    matrix
        The output vectors of all words.
    ids
        The words of the strip (a sequence of tiles), which may be predicted.
    noise
        The noise words of the tile.
    place
        The position of the tile's first center word in the strip.
    """
    end = place + sizes.contexts
    known = 0 if place == 0 else end - sizes.tile
    gather_rows(matrix, ids[known:end], tile.R[known:], tile.norms[known:])
    gather_rows(matrix, noise[:NOISE], own.N, own.noise_norms)


@inner
def choose_band_targets(
    sizes: Sizes,
    matrix: F32,
    ids: I32,
    noise: I32,
    following: I32,
    curvature: F32,
    rate: np.float32,
    place: int,
    number: int,
    last: bool,
    dR: int,
    tile: Tile,
    own: Band,
) -> None:
    """For negative sampling, decide where the gradient of each output vector of a tile is written.

    A gradient updates the model directly if the vector's word has no other gradient in the training
    step. Otherwise it is written to the gradient buffer (`w2v.engines.rows.choose_targets`), as are
    the gradients to which the strip's next tile adds its own. The curvatures of the loss along the
    vectors are added up first, because they limit the step size. A tile is a group of consecutive
    center words.

    Parameters
    ----------
    ids
        The words of the strip (a sequence of tiles), which may be predicted.
    noise
        The noise words of the tile.
    following, curvature
        For each output row of the strip in the gradient buffer: the next row of the same word; and
        the summed curvature, which is updated.
    rate
        The learning rate.
    place
        The position of the tile's first center word in the strip.
    number
        The number of the tile in the strip.
    last
        Whether the tile is the last one of the strip.
    dR
        The address of the strip's output rows in the gradient buffer.
    """
    contexts, size = sizes.contexts, 4 * sizes.vectors * LANES
    k = sizes.slots - (sizes.strip - number) * NOISE
    a, b, c, d = own.sums[0], own.sums[1], own.sums[2], own.sums[3]
    for j in range(contexts):
        curvature[place + j] += (a[j] + b[j]) + (c[j] + d[j])
    for j in range(NOISE):
        i = contexts + j
        curvature[k + j] = (a[i] + b[i]) + (c[i] + d[i])
    choose_targets(
        matrix,
        ids[place : place + contexts],
        following[place:],
        curvature[place:],
        rate,
        address(tile.R) + place * size,
        dR + place * size,
        tile,
        sizes.tile,
    )
    if not last:  # the next tile adds to the gradients of the last rows
        for j in range(sizes.tile, contexts):
            tile.out[sizes.tile + j] = dR + (place + j) * size
            tile.old[sizes.tile + j] = address(tile.zeros)
            tile.steps[sizes.tile + j] = 1
    choose_targets(
        matrix,
        noise[:NOISE],
        following[k:],
        curvature[k:],
        rate,
        address(own.N),
        dR + k * size,
        tile,
        sizes.tile + contexts,
    )


@inner
def score_node_tile(
    problem: Problem,
    sizes: Sizes,
    n: int,
    number: int,
    documents: I32,
    plans: Plans,
    buffer: Buffer,
    of_centers: F32,
    scratch: Scratch,
) -> tuple[float, float]:
    """Compute the scores of a tile for the hierarchical softmax, and the derivatives of the loss.

    The input rows of the tile are in the working memory of the thread.

    Parameters
    ----------
    n, number
        The number of the step in ``plans``, and of the tile in the step.
    documents
        For skip-gram, the documents of the words in and around the tile.
    of_centers
        Output: the summed curvature of the loss along each input row.

    Returns
    -------
    The summed weight of the tile's pairs (0 for CBOW), and its loss.
    """
    tile = scratch.tile
    begin, end = plans.node_starts[n, number], plans.node_starts[n, number + 1]
    gather_rows(problem.outside, plans.nodes[n, begin:end], tile.R, tile.norms)
    listed = number * (sizes.tile // MR if sizes.sorted else sizes.contexts)
    return score_nodes(
        problem.pairs.weights,
        sizes,
        plans.keys[n],
        plans.key_starts[n, listed:],
        documents,
        tile,
        scratch.nodes,
        of_centers,
        buffer.outside_curvature[begin:end],
    )


@inner
def write_node_tile(
    problem: Problem,
    sizes: Sizes,
    n: int,
    number: int,
    plans: Plans,
    buffer: Buffer,
    rate: np.float32,
    scratch: Scratch,
) -> None:
    """Write the gradients of a tile of the hierarchical softmax.

    The gradients of the input rows are written to the targets of the tile
    (`w2v.engines.rows.Targets`). Nodes that only this tile has in the step are updated; the
    gradients of the others are written to ``buffer``.

    Parameters
    ----------
    n, number
        The number of the step in ``plans``, and of the tile in the step.
    rate
        The learning rate.
    """
    begin, end = plans.node_starts[n, number], plans.node_starts[n, number + 1]
    width = sizes.vectors * LANES
    places = address(buffer.outside) + 4 * begin * width
    gradients = address(scratch.nodes.gradients)
    if not sizes.sorted:  # most nodes are in several tiles
        buffer.outside[begin:end] = 0
        gradients = places
    write_node_gradients(sizes, scratch.tile, scratch.nodes, gradients)
    put_gradients(
        problem.outside,
        plans.nodes[n, begin:end],
        plans.outside_next[n, begin:],
        buffer.outside_curvature[begin:],
        rate,
        address(scratch.tile.R),
        gradients,
        places,
        width,
    )


@inner
def share_strip(
    problem: Problem,
    sizes: Sizes,
    n: int,
    strip: int,
    centers: int,
    plans: Plans,
    buffer: Buffer,
    rate: np.float32,
    gradients: int,
    of_windows: F32,
    scratch: Scratch,
) -> None:
    """For CBOW, compute the gradients of the words of a strip from the gradients of its windows.

    The gradient of a window is that of its input row, the sum or mean of the vectors of its words.
    The words' gradients are written to ``buffer``, or applied to the model if a word has only one
    row in the step. A strip is a part of the text.

    Parameters
    ----------
    n, strip
        The number of the step in ``plans``, and of the strip in the step.
    centers
        The number of center words of the strip.
    rate
        The learning rate.
    gradients
        The address of the gradients of the center words' windows.
    of_windows
        The summed curvature of the loss along each window's input row; overwritten.
    """
    start, row = strip * sizes.strip * sizes.tile, strip * sizes.input_slots
    curvature, windows = buffer.center_curvature[row:], scratch.windows
    lows, highs = plans.lows[n, start : start + centers], plans.highs[n, start : start + centers]
    mean, exact = problem.mean, problem.exact
    share_gradients(mean, exact, sizes, lows, highs, start, windows, of_windows, curvature)
    choose_targets(
        problem.center,
        plans.ids[n, start : start + centers + 2 * sizes.window],
        plans.center_next[n, row:],
        curvature,
        rate,
        0,
        address(buffer.center) + 4 * row * sizes.vectors * LANES,
        scratch.tile,
        0,
    )
    write_shares(sizes, centers, gradients, scratch.tile, windows)


@inner
def compute_strip(
    problem: Problem,
    sizes: Sizes,
    step: int,
    strip: int,
    plans: Plans,
    buffer: Buffer,
    shard: Shard,
    rate: np.float32,
    scratch: Scratch,
) -> None:
    """Compute the gradients of one strip, a part of the text of a training step.

    The gradients are written to ``buffer``, or applied to the model if a word has only one row in
    the step. The loss and the weight of the pairs are stored in ``shard.tallies``.

    Parameters
    ----------
    step, strip
        The number of the step in the shard, and of the strip in the step.
    plans, buffer, shard
        Memory that all threads share.
    rate
        The learning rate.
    scratch
        The working memory of the calling thread.
    """
    n, width, tile = step % len(plans.ids), sizes.vectors * LANES, scratch.tile
    windows, band, size = scratch.windows, scratch.band, 4 * width
    tiles = -(-step_centers(sizes, shard, step) // sizes.tile)
    first, last = strip * sizes.strip, min((strip + 1) * sizes.strip, tiles)
    start = first * sizes.tile
    # The words of the strip's input rows, and where their vectors are: rows `ids` of `matrix`.
    words = plans.ids[n, start if sizes.windows else start + sizes.window :]
    matrix, ids = problem.center, words
    if sizes.parts:
        matrix = buffer.words
        ids = plans.numbers[n, start if sizes.windows else start + sizes.window :]
    # The words that the input rows predict, and the words around them.
    skipped = start + sizes.window - sizes.reach
    around, documents = plans.ids[n, skipped:], plans.documents[n, skipped:]
    row = strip * sizes.input_slots
    input_curvature, dC = buffer.center_curvature[row:], address(buffer.center) + row * size
    input_next = plans.center_next[n, row:]
    lows, highs = plans.lows[n, start:], plans.highs[n, start:]
    if sizes.windows:
        count = (last - first) * sizes.tile + 2 * sizes.window
        locate_words(matrix, ids[:count], address(tile.zeros), windows)
    row = strip * sizes.slots
    curvature, dR = buffer.outside_curvature[row:], address(buffer.outside) + row * size
    following = plans.outside_next[n, row:]
    if not sizes.nodes:
        curvature[: sizes.slots - sizes.strip * NOISE] = 0
    pairs = loss = np.float64(0)
    # Prefetching loads more rows at the same time than copying them one after the other.
    prefetch_rows(matrix, ids[: tile_inputs(sizes)], width)
    if sizes.nodes:
        begin, end = plans.node_starts[n, first], plans.node_starts[n, first + 1]
        prefetch_rows(problem.outside, plans.nodes[n, begin:end], width)
    else:
        prefetch_rows(problem.outside, around[: sizes.contexts], width)
        prefetch_rows(problem.outside, plans.noise[n, first * NOISE : (first + 1) * NOISE], width)
    for number in range(last - first):
        place, ends = number * sizes.tile, first + number + 1 == last
        if not ends:
            # The rows of the next tile are loaded into the cache while this tile is computed.
            k = place + tile_inputs(sizes)
            prefetch_rows(matrix, ids[k : k + sizes.tile], width)
            k = first + number + 1
            if sizes.nodes:
                begin, end = plans.node_starts[n, k], plans.node_starts[n, k + 1]
                prefetch_rows(problem.outside, plans.nodes[n, begin:end], width)
            else:
                noise = plans.noise[n, k * NOISE : (k + 1) * NOISE]
                k = place + sizes.contexts
                prefetch_rows(problem.outside, around[k : k + sizes.tile], width)
                prefetch_rows(problem.outside, noise, width)
        if sizes.windows:
            out, zeros, until = address(tile.C), address(tile.zeros), place + sizes.tile
            read_windows(problem.mean, sizes, lows, highs, start, place, until, out, zeros, windows)
            lengths_squared(Rows(out, width), sizes.tile, sizes.vectors, address(tile.center_norms))
        else:
            gather_rows(matrix, ids[place : place + sizes.tile], tile.C, tile.center_norms)
        of_centers = windows.curvature[place:] if sizes.windows else input_curvature[place:]
        if sizes.nodes:
            tile_pairs, tile_loss = score_node_tile(
                problem,
                sizes,
                n,
                first + number,
                documents[place:],
                plans,
                buffer,
                of_centers,
                scratch,
            )
        else:
            noise = plans.noise[n, (first + number) * NOISE :]
            weights, tile_pairs = choose_weights(
                problem.pairs, sizes, documents[place:], lows[place:], highs[place:], tile, band
            )
            read_band(sizes, problem.outside, around, noise, place, tile, band)
            tile_loss = compute_scores(sizes, tile, band, weights, address(tile.R) + place * size)
            sum_curvature(sizes, tile, band, address(tile.norms) + 4 * place, of_centers)
            choose_band_targets(
                sizes,
                problem.outside,
                around,
                noise,
                following,
                curvature,
                rate,
                place,
                number,
                ends,
                dR,
                tile,
                band,
            )
        pairs += tile_pairs
        loss += tile_loss
        if sizes.windows:
            for i in range(sizes.tile):
                tile.out[i] = address(windows.gradients) + (place + i) * size
                tile.old[i], tile.steps[i] = address(tile.zeros), 1
        else:
            choose_targets(
                problem.center,
                words[place : place + sizes.tile],
                input_next[place:],
                of_centers,
                rate,
                address(tile.C),
                dC + place * size,
                tile,
                0,
            )
        if sizes.nodes:
            write_node_tile(problem, sizes, n, first + number, plans, buffer, rate, scratch)
        else:
            rows = address(tile.R) + place * size
            compute_gradients(sizes, tile, band, rows, dR + place * size, number > 0)
    if sizes.windows:
        share_strip(
            problem,
            sizes,
            n,
            strip,
            (last - first) * sizes.tile,
            plans,
            buffer,
            rate,
            address(windows.gradients),
            windows.curvature,
            scratch,
        )
    shard.tallies[step * sizes.strips + strip, 0] = pairs
    shard.tallies[step * sizes.strips + strip, 1] = loss


# ---------------------------------------------------------------- sorted center words


@inlined
def strip_centers(sizes: Sizes, shard: Shard, step: int, strip: int) -> int:
    """Return the number of center words of a strip, rounded up to whole tiles."""
    tiles = -(-step_centers(sizes, shard, step) // sizes.tile)
    return int(min(sizes.strip, tiles - strip * sizes.strip) * sizes.tile)


@inner
def read_strip(
    problem: Problem,
    sizes: Sizes,
    step: int,
    strip: int,
    plans: Plans,
    buffer: Buffer,
    shard: Shard,
    scratch: Scratch,
) -> None:
    """For CBOW with the hierarchical softmax, compute the input rows of a strip.

    An input row is the sum or mean of the vectors in the window of a center word. The rows are
    stored in ``buffer.inputs``. A strip is a part of the text.
    """
    n, windows, zeros = step % len(plans.ids), scratch.windows, address(scratch.tile.zeros)
    centers = strip_centers(sizes, shard, step, strip)
    start, count = strip * sizes.strip * sizes.tile, centers + 2 * sizes.window
    matrix, ids = problem.center, plans.ids[n, start : start + count]
    if sizes.parts:
        matrix, ids = buffer.words, plans.numbers[n, start : start + count]
    width = sizes.vectors * LANES
    prefetch_rows(matrix, ids, width)
    locate_words(matrix, ids, zeros, windows)
    lows, highs = plans.lows[n, start:], plans.highs[n, start:]
    out = address(buffer.inputs) + 4 * start * width
    read_windows(problem.mean, sizes, lows, highs, start, ZERO, centers, out, zeros, windows)
    # Center words without context are in no tile.
    buffer.input_curvature[start : start + centers] = 0


@inlined
def prefetch_sorted_tile(
    problem: Problem, sizes: Sizes, n: int, number: int, plans: Plans, buffer: Buffer
) -> None:
    """Prefetch the input rows and node vectors of tile ``number`` of step ``n`` of the plans."""
    order = plans.order[n, number * sizes.tile : (number + 1) * sizes.tile]
    begin, end = plans.node_starts[n, number], plans.node_starts[n, number + 1]
    prefetch_rows(problem.outside, plans.nodes[n, begin:end], sizes.vectors * LANES)
    prefetch_rows(buffer.inputs, order, sizes.vectors * LANES)


@inner
def compute_sorted(
    problem: Problem,
    sizes: Sizes,
    step: int,
    strip: int,
    plans: Plans,
    buffer: Buffer,
    shard: Shard,
    rate: np.float32,
    scratch: Scratch,
) -> None:
    """Compute the gradients of some tiles of center words that are sorted by their tree paths.

    This is for CBOW with the hierarchical softmax. The negative gradient of each input row replaces
    the row in ``buffer.inputs``. The gradients of the nodes are written by `write_node_tile`. The
    tiles are those of job number ``strip``, as many as a strip has.
    """
    n, tile, size = step % len(plans.ids), scratch.tile, 4 * sizes.vectors * LANES
    first = strip * sizes.strip
    last = min(first + sizes.strip, -(-step_centers(sizes, shard, step) // sizes.tile))
    curvature, pairs, loss = scratch.windows.curvature[: sizes.tile], np.float64(0), np.float64(0)
    prefetch_sorted_tile(problem, sizes, n, first, plans, buffer)
    for number in range(first, last):
        if number + 1 < last:
            prefetch_sorted_tile(problem, sizes, n, number + 1, plans, buffer)
        order = plans.order[n, number * sizes.tile : (number + 1) * sizes.tile]
        gather_rows(buffer.inputs, order, tile.C, tile.center_norms)
        _, tile_loss = score_node_tile(
            problem, sizes, n, number, order, plans, buffer, curvature, scratch
        )
        loss += tile_loss
        for i in range(sizes.tile):
            tile.old[i], tile.steps[i] = address(tile.zeros), 1
            tile.out[i] = address(tile.C) + i * size  # where no center word is, zeros remain
            if order[i] >= 0:
                tile.out[i] = address(buffer.inputs) + order[i] * size
                buffer.input_curvature[order[i]] = curvature[i]
                pairs += 1
        write_node_tile(problem, sizes, n, number, plans, buffer, rate, scratch)
    shard.tallies[step * sizes.strips + strip, 0] = pairs
    shard.tallies[step * sizes.strips + strip, 1] = loss


@inner
def share_sorted(
    problem: Problem,
    sizes: Sizes,
    step: int,
    strip: int,
    plans: Plans,
    buffer: Buffer,
    shard: Shard,
    rate: np.float32,
    scratch: Scratch,
) -> None:
    """Compute the gradients of the words of a strip from the gradients of its input rows.

    This is for CBOW with the hierarchical softmax, where the gradients of the input rows are in
    ``buffer.inputs``. A strip is a part of the text.
    """
    n, centers = step % len(plans.ids), strip_centers(sizes, shard, step, strip)
    start = strip * sizes.strip * sizes.tile
    share_strip(
        problem,
        sizes,
        n,
        strip,
        centers,
        plans,
        buffer,
        rate,
        address(buffer.inputs) + 4 * start * sizes.vectors * LANES,
        buffer.input_curvature[start:],
        scratch,
    )


# ---------------------------------------------------------------- moving


@inlined
def add_sums(
    first: Any, following: int, gradients: int, width: int, step: Any, out: int, zero: Any
) -> None:
    """Add the sum of a linked list of gradient rows, times ``step``, to a row, in some columns.

    Parameters
    ----------
    first
        The number of the first row of the list.
    following
        The address of an array with the number of the next row for each row; negative at the end of
        the list.
    gradients
        The address of the block of columns in row 0 of the gradients.
    width
        The number of float32 values in a gradient row.
    step
        The factor of the sum, in every lane of a SIMD vector.
    out
        The address of the block of columns in the row to update.
    zero
        A tuple of zero SIMD vectors, as many as a row of the block has.
    """
    one, row = splat(1), first
    sums = load_each(zero, gradients, np.int64(row) * width)
    row = load_int(following, row)
    while row >= 0:
        sums = multiply_add_each(one, load_each(zero, gradients, np.int64(row) * width), sums)
        row = load_int(following, row)
    store_each(multiply_add_each(step, sums, load_each(zero, out, 0)), out, 0)


@inlined
def add_list(gradients: int, width: int, head: Any, after: int, step: Any, out: int) -> None:
    """Add the sum of a linked list of gradient rows, times ``step``, to a row.

    Parameters
    ----------
    gradients
        The address of all gradient rows.
    width
        The number of float32 values in a row.
    head
        The number of the first row of the list.
    after
        The address of an array with the number of the next row for each row; negative at the end of
        the list.
    step
        The factor of the sum, in every lane of a SIMD vector.
    out
        The address of the row to update.
    """
    zero, k = splat(0), 0
    while k + 4 * LANES <= width:
        zeros = (zero, zero, zero, zero)
        add_sums(head, after, gradients + 4 * k, width, step, out + 4 * k, zeros)
        k += 4 * LANES
    if k + 2 * LANES <= width:
        add_sums(head, after, gradients + 4 * k, width, step, out + 4 * k, (zero, zero))
        k += 2 * LANES
    if k < width:
        add_sums(head, after, gradients + 4 * k, width, step, out + 4 * k, (zero,))


@inlined
def add_curvatures(curvature: int, head: Any, after: int) -> Any:
    """Return the summed curvature of the rows of a linked list.

    Parameters
    ----------
    curvature
        The address of the curvatures of all rows.
    head
        The number of the first row of the list.
    after
        The address of an array with the number of the next row for each row; negative at the end of
        the list.
    """
    total, row = load_float(curvature, head), load_int(after, head)
    while row >= 0:
        total += load_float(curvature, row)
        row = load_int(after, row)
    return total


@inner
def move_words(
    matrix: F32,
    gradients: F32,
    curvature: F32,
    words: I32,
    heads: I32,
    following: I32,
    rate: np.float32,
) -> None:
    """Update the vectors of some words, or tree nodes, each by the sum of its gradients.

    Parameters
    ----------
    matrix
        The input or output vectors of the model; updated in place.
    gradients, curvature
        The rows of negative gradients in the buffer, and the curvature of the loss for each.
    words, heads
        The words, and the first gradient row of each.
    following
        For each gradient row, the next row of the same word.
    rate
        The learning rate.
    """
    # The model's rows are padded to whole cache lines, those of the buffer to whole vectors.
    stride, width = matrix.shape[1], gradients.shape[1]
    base, model, after = address(gradients), address(matrix), address(following)
    for n in range(len(words)):
        if n + AHEAD < len(words):
            for k in range(0, width, LINE):
                prefetch(base, np.int64(heads[n + AHEAD]) * width + k)
                prefetch(model, np.int64(words[n + AHEAD]) * stride + k)
        head = np.int64(heads[n])
        step = splat(limit(rate, add_curvatures(address(curvature), head, after)))
        add_list(base, width, head, after, step, model + np.int64(words[n]) * 4 * stride)


# ---------------------------------------------------------------- subwords


@inner
def prefetch_parts(problem: Problem, word: int, width: int) -> None:
    """Prefetch the rows of the input matrix whose sum is the vector of a word (subwords)."""
    starts = problem.parts.starts
    prefetch_rows(problem.center, problem.parts.rows[starts[word] : starts[word + 1]], width)


@inner
def sum_parts(
    problem: Problem, sizes: Sizes, step: int, job: int, plans: Plans, buffer: Buffer, shard: Shard
) -> None:
    """Compute the vectors of some words of a step as sums of rows of the input matrix (subwords).

    The words are those of job number ``job``, at most `WORDS`. The vectors are stored in
    ``buffer.words``.
    """
    n, parts, width = step % len(plans.ids), problem.parts, sizes.vectors * LANES
    words = plans.center_words[n]
    first, last = job * WORDS, min((job + 1) * WORDS, shard.several[step, 0])
    table = Rows(address(problem.center), problem.center.shape[1])
    listed = List(address(parts.rows), address(parts.weights))
    prefetch_parts(problem, words[first], width)
    for k in range(first, last):
        if k + 1 < last:
            prefetch_parts(problem, words[k + 1], width)
        start, end = np.int64(parts.starts[words[k]]), np.int64(parts.starts[words[k] + 1])
        out = address(buffer.words) + k * 4 * width
        for column in range(0, width, LANES):
            store(splat(0), out, column)
        combine(sizes.vectors, listed, start, end, table, out, out, np.float32(1))


@inner
def sum_words(
    problem: Problem, sizes: Sizes, step: int, job: int, plans: Plans, buffer: Buffer, shard: Shard
) -> None:
    """Add up the gradients of some words of a step, each over its occurrences (subwords).

    The words are those of job number ``job``, at most `WORDS`. The sums are stored in
    ``buffer.words``, in place of the words' vectors, and the summed curvatures in
    ``buffer.word_curvature``.
    """
    n, width = step % len(plans.ids), sizes.vectors * LANES
    words, heads, after = plans.center_words[n], plans.center_heads[n], plans.center_next[n]
    for k in range(job * WORDS, min((job + 1) * WORDS, shard.several[step, 0])):
        out = address(buffer.words) + k * 4 * width
        for column in range(0, width, LANES):
            store(splat(0), out, column)
        head = np.int64(heads[k])
        add_list(address(buffer.center), width, head, address(after), splat(1), out)
        total = add_curvatures(address(buffer.center_curvature), head, address(after))
        buffer.word_curvature[k] = total * problem.parts.totals[words[k]]


@inner
def move_parts(
    problem: Problem,
    sizes: Sizes,
    step: int,
    job: int,
    plans: Plans,
    buffer: Buffer,
    shard: Shard,
    rate: np.float32,
) -> None:
    """Update some rows of the input matrix by the gradients of words that contain them (subwords).

    The rows are those of job number ``job``, at most `PARTS`.
    """
    n, width = step % len(plans.ids), sizes.vectors * LANES
    rows, ends = plans.part_rows[n], plans.part_ends[n]
    words, shares = plans.part_words[n], plans.part_shares[n]
    gradients = Rows(address(buffer.words), width)
    listed = List(address(words), address(shares))
    first, last = job * PARTS, min((job + 1) * PARTS, shard.several[step, 2])
    stride = np.int64(4 * problem.center.shape[1])
    start = np.int64(ends[first - 1]) if first else np.int64(0)
    prefetch_rows(problem.center, rows[first : min(first + AHEAD, last)], width)
    for k in range(first, last):
        if k + AHEAD < last:
            prefetch_rows(problem.center, rows[k + AHEAD : k + AHEAD + 1], width)
        end, total = np.int64(ends[k]), np.float32(0)
        for e in range(start, end):
            total += buffer.word_curvature[words[e]] * shares[e]
        row = address(problem.center) + rows[k] * stride
        combine(sizes.vectors, listed, start, end, gradients, row, row, limit(rate, total))
        start = end


@inlined
def input_jobs(sizes: Sizes, shard: Shard, step: int) -> int:
    """Return the number of `move` jobs that update the input matrix in a training step."""
    if sizes.parts:
        return int(-(-shard.several[step, 2] // PARTS))
    return int(-(-shard.several[step, 0] // WORDS))


@inlined
def output_jobs(shard: Shard, step: int) -> int:
    """Return the number of `move` jobs that update output vectors in a training step."""
    return int(-(-shard.several[step, 1] // WORDS))


@inner
def move(
    problem: Problem,
    sizes: Sizes,
    step: int,
    job: int,
    plans: Plans,
    buffer: Buffer,
    shard: Shard,
    rate: np.float32,
) -> None:
    """Update some vectors of the model by the sums of their gradients in a step.

    The vectors are those of job number ``job``, at most `WORDS`. The first jobs of a step update
    input vectors (with subwords, rows of their matrix, at most `PARTS`), and the others output
    vectors.
    """
    n = step % len(plans.ids)
    jobs = input_jobs(sizes, shard, step)
    if sizes.parts and job < jobs:
        move_parts(problem, sizes, step, job, plans, buffer, shard, rate)
        return
    if job < jobs:
        first, last = job * WORDS, min((job + 1) * WORDS, shard.several[step, 0])
        move_words(
            problem.center,
            buffer.center,
            buffer.center_curvature,
            plans.center_words[n, first:last],
            plans.center_heads[n, first:last],
            plans.center_next[n],
            rate,
        )
        return
    first = (job - jobs) * WORDS
    last = min(first + WORDS, shard.several[step, 1])
    move_words(
        problem.outside,
        buffer.outside,
        buffer.outside_curvature,
        plans.outside_words[n, first:last],
        plans.outside_heads[n, first:last],
        plans.outside_next[n],
        rate,
    )


@compiled
def train(
    problem: Problem,
    sizes: Sizes,
    source: Source,
    key: sampling.Key,
    rates: tuple[float, float],
    plans: Plans,
    buffer: Buffer,
    shard: Shard,
    scratch: Scratch,
) -> int:
    """Train on a shard, a part of the text; each of several threads calls this function once.

    Parameters
    ----------
    problem, sizes
        The model, which is updated in place, with the settings; and the sizes of training steps and
        of their parts.
    source
        The documents of the shard.
    key
        The key from which all random numbers of the shard are computed.
    rates
        The learning rate at the start and at the end; it changes linearly.
    plans, buffer, shard
        Memory that all threads share.
    scratch
        The working memory of the calling thread. All other arguments are the same for all threads.

    Returns
    -------
    int
        The number of training steps.
    """
    jobs, phase = shard.jobs, ZERO
    number = len(shard.kept)
    job = take(jobs, phase)
    while job < number:
        subsample(problem, source, key, job, shard, scratch.planning)
        finish(jobs, phase)
        job = take(jobs, phase)
    wait(jobs, phase, number)
    phase += 1
    if take(jobs, phase) == 0:
        add_up(shard)
        finish(jobs, phase)
    wait(jobs, phase, 1)
    phase += 1
    steps = -(-shard.starts[-1] // sizes.step)
    for begin in range(0, steps, len(plans.ids)):
        number = min(len(plans.ids), steps - begin)
        job = take(jobs, phase)
        while job < number:
            plan(problem, sizes, key, begin + job, plans, shard, scratch.planning)
            finish(jobs, phase)
            job = take(jobs, phase)
        wait(jobs, phase, number)
        phase += 1
        for step in range(begin, begin + number):
            rate = np.float32(rates[0] + (rates[1] - rates[0]) * step / steps)
            words = -(-shard.several[step, 0] // WORDS)
            if sizes.parts:
                job = take(jobs, phase)
                while job < words:
                    sum_parts(problem, sizes, step, job, plans, buffer, shard)
                    finish(jobs, phase)
                    job = take(jobs, phase)
                wait(jobs, phase, words)
                phase += 1
            strips = -(-step_centers(sizes, shard, step) // (sizes.strip * sizes.tile))
            if sizes.sorted:
                job = take(jobs, phase)
                while job < strips:
                    read_strip(problem, sizes, step, job, plans, buffer, shard, scratch)
                    finish(jobs, phase)
                    job = take(jobs, phase)
                wait(jobs, phase, strips)
                phase += 1
                job = take(jobs, phase)
                while job < strips:
                    compute_sorted(problem, sizes, step, job, plans, buffer, shard, rate, scratch)
                    finish(jobs, phase)
                    job = take(jobs, phase)
                wait(jobs, phase, strips)
                phase += 1
            job = take(jobs, phase)
            while job < strips:
                if sizes.sorted:
                    share_sorted(problem, sizes, step, job, plans, buffer, shard, rate, scratch)
                else:
                    compute_strip(problem, sizes, step, job, plans, buffer, shard, rate, scratch)
                finish(jobs, phase)
                job = take(jobs, phase)
            wait(jobs, phase, strips)
            phase += 1
            if sizes.parts:
                job = take(jobs, phase)
                while job < words:
                    sum_words(problem, sizes, step, job, plans, buffer, shard)
                    finish(jobs, phase)
                    job = take(jobs, phase)
                wait(jobs, phase, words)
                phase += 1
            number = input_jobs(sizes, shard, step) + output_jobs(shard, step)
            job = take(jobs, phase)
            while job < number:
                move(problem, sizes, step, job, plans, buffer, shard, rate)
                finish(jobs, phase)
                job = take(jobs, phase)
            wait(jobs, phase, number)
            phase += 1
    return int(steps)
