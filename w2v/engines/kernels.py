"""The compiled loops of ``engine=numba``: the step of losses that are sums of logistic terms.

`train` is called by each of the threads, with the same arguments but for its scratch memory. The
work is cut into jobs, whose results depend on the seed and the settings alone, and which any thread
may take (see `w2v.engines.jobs`). There are these kinds, in this order:

1. `subsample` a block of the text.
2. `plan` a step: copy its words, make its draws, and list where each word occurs.
3. `sum_parts`, with subwords: the vectors of some of the step's words.
4. `compute_strip`: the gradients of a strip of the text, from the model as it was before the step.
   They are written to a buffer, one row for each input row and each output row. A word that the
   step has only once moves at once.
5. `sum_words`, with subwords: the gradients of some of the step's words.
6. `move`: for some other words, or rows of the table of subwords, sum their gradients in the order
   of the text and move their rows of the model.

A strip is a number of *tiles*, each of `Sizes.tile` adjacent positions of the sub-sampled text.
What differs between architectures is in `w2v.engines.windows`, and what differs between losses in
`w2v.engines.band` and `w2v.engines.nodes`; `compute_strip` puts them together.

``NUMBA_DISABLE_JIT=1`` does not work here.
"""

from typing import Any

import numpy as np

from w2v import sampling
from w2v.engines.band import choose_weights, compute_gradients, compute_scores, sum_curvature
from w2v.engines.jobs import finish, take, wait
from w2v.engines.memory import (
    F32,
    I32,
    LINE,
    Band,
    Buffer,
    Plans,
    Problem,
    Scratch,
    Shard,
    Sizes,
    Source,
    Tile,
    Windows,
)
from w2v.engines.negative_sampling import NOISE
from w2v.engines.nodes import score_nodes, write_node_gradients
from w2v.engines.plans import add_up, plan, step_centers, subsample
from w2v.engines.rows import choose_targets, gather_rows, limit, prefetch_rows
from w2v.engines.simd import (
    LANES,
    address,
    compiled,
    inlined,
    load_each,
    load_float,
    load_int,
    multiply_add_each,
    prefetch,
    splat,
    store,
    store_each,
)
from w2v.engines.sparse import List, Rows, combine
from w2v.engines.windows import list_windows, read_windows, share_gradients, write_shares

AHEAD = 4
"""How many words before its turn a word's rows are prefetched."""

WORDS, PARTS = 32, 256
"""Words that are moved at a time, and rows of the table of subwords."""


# ---------------------------------------------------------------- gradients


@inlined
def tile_inputs(sizes: Sizes) -> int:
    """Return how many input rows a tile reads."""
    return int(sizes.input_slots - (sizes.strip - 1) * sizes.tile)


@compiled
def read_inputs(
    sizes: Sizes, matrix: F32, ids: I32, place: int, tile: Tile, windows: Windows
) -> None:
    """Fill in the input rows of a tile, and their squared lengths.

    Parameters
    ----------
    matrix, ids
        The vectors of words, and the row of each of the strip's input rows in it.
    place
        The first position of the tile in the strip.
    """
    size = tile_inputs(sizes)
    if sizes.windows:
        known = 0 if place == 0 else place - sizes.tile + size
        new = ids[known : place + size]
        gather_rows(matrix, new, windows.T[known:], windows.T_norms[known:])
        read_windows(sizes, place, tile, windows)
    else:
        gather_rows(matrix, ids[place : place + sizes.tile], tile.C, tile.center_norms)


@compiled
def read_band(
    sizes: Sizes, matrix: F32, ids: I32, noise: I32, place: int, tile: Tile, own: Band
) -> None:
    """Fill in the outside rows of a tile, and their squared lengths; see `read_inputs`.

    ``ids`` are those of the strip's context rows, and ``noise`` those of the tile's noise words.
    """
    end = place + sizes.contexts
    known = 0 if place == 0 else end - sizes.tile
    gather_rows(matrix, ids[known:end], tile.R[known:], tile.norms[known:])
    gather_rows(matrix, noise[:NOISE], own.N, own.noise_norms)


@compiled
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
    """Add up the curvatures of a tile's outside rows, and choose where their gradients go.

    Parameters
    ----------
    ids, noise, place
        See `read_band`.
    last
        Whether the tile is the last one of its strip.
    following, curvature, dR
        Of the strip's rows in the buffer: the row after each, their curvatures, and the address.
    number
        The number of the tile in the strip.
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
    if not last:  # the next tile adds to the last rows
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


@compiled
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
    """Compute the gradients and the tally of a strip."""
    n, width, tile = step % len(plans.ids), sizes.vectors * LANES, scratch.tile
    windows, band, nodes = scratch.windows, scratch.band, scratch.nodes
    size = 4 * width
    tiles = -(-step_centers(sizes, shard, step) // sizes.tile)
    first, last = strip * sizes.strip, min((strip + 1) * sizes.strip, tiles)
    start = first * sizes.tile
    # The words of the strip's input rows, and the rows of the matrix in which their vectors are.
    words = plans.ids[n, start if sizes.windows else start + sizes.window :]
    matrix, ids = problem.center, words
    if sizes.parts:
        matrix = buffer.words
        ids = plans.numbers[n, start if sizes.windows else start + sizes.window :]
    # What they predict.
    skipped = start + sizes.window - sizes.reach
    around, documents = plans.ids[n, skipped:], plans.documents[n, skipped:]
    row = strip * sizes.input_slots
    input_curvature, dC = buffer.center_curvature[row:], address(buffer.center) + row * size
    input_next = plans.center_next[n, row:]
    lows, highs = plans.lows[n, start:], plans.highs[n, start:]
    if sizes.windows:
        centers = (last - first) * sizes.tile
        list_windows(problem.mean, sizes, lows[:centers], highs[:centers], start, windows)
    row = strip * sizes.slots
    curvature, dR = buffer.outside_curvature[row:], address(buffer.outside) + row * size
    following = plans.outside_next[n, row:]
    if not sizes.nodes:
        curvature[: sizes.slots - sizes.strip * NOISE] = 0
    pairs = loss = np.float64(0)
    # More rows arrive at a time than when they are copied one after the other.
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
            # The rows of the next tile arrive from memory while this one is computed.
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
        read_inputs(sizes, matrix, ids, place, tile, windows)
        of_centers = windows.curvature[place:] if sizes.windows else input_curvature[place:]
        if sizes.nodes:
            k = first + number
            begin, end = plans.node_starts[n, k], plans.node_starts[n, k + 1]
            paths, columns = problem.paths, plans.nodes[n, begin:end]
            gather_rows(problem.outside, columns, tile.R, tile.norms)
            of_nodes = buffer.outside_curvature[begin:end]
            tile_pairs, tile_loss = score_nodes(
                problem.pairs.weights,
                paths,
                sizes,
                around[place:],
                documents[place:],
                lows[place:],
                highs[place:],
                columns,
                tile,
                nodes,
                of_centers,
                of_nodes,
            )
            choose_targets(
                problem.outside,
                columns,
                plans.outside_next[n, begin:],
                of_nodes,
                rate,
                address(tile.R),
                address(buffer.outside) + begin * size,
                tile,
                sizes.tile,
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
            write_node_gradients(sizes, len(columns), tile, nodes)
        else:
            rows = address(tile.R) + place * size
            compute_gradients(sizes, tile, band, rows, dR + place * size, number > 0)
    if sizes.windows:
        centers = (last - first) * sizes.tile
        count = centers + 2 * sizes.window
        share_gradients(problem.mean, problem.exact, centers, count, windows, input_curvature)
        choose_targets(
            problem.center,
            words[:count],
            input_next,
            input_curvature,
            rate,
            address(windows.T),
            dC,
            tile,
            0,
        )
        write_shares(sizes, count, tile, windows)
    shard.tallies[step * sizes.strips + strip, 0] = pairs
    shard.tallies[step * sizes.strips + strip, 1] = loss


# ---------------------------------------------------------------- moving


@inlined
def add_sums(
    first: Any, following: int, gradients: int, width: int, step: Any, out: int, zero: Any
) -> None:
    """Add the sum of a list of rows, times ``step``, to a row of the model, over some columns.

    Parameters
    ----------
    first, following
        The first row, and the address of the row after each.
    gradients, out
        The addresses of the first of the columns.
    zero
        A tuple of zero vectors, as many as there are in those columns.
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
    """Add the sum of a list of rows, times ``step``, to a row.

    Parameters
    ----------
    gradients, after, out
        The addresses of the rows, of the row after each, and of what is added to.
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
    """Add up the curvatures, at an address, of a list of rows; see `add_list`."""
    total, row = load_float(curvature, head), load_int(after, head)
    while row >= 0:
        total += load_float(curvature, row)
        row = load_int(after, row)
    return total


@compiled
def move_words(
    matrix: F32,
    gradients: F32,
    curvature: F32,
    words: I32,
    heads: I32,
    following: I32,
    rate: np.float32,
) -> None:
    """Move the model's rows of some words along the sums of their gradients."""
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


@compiled
def prefetch_parts(problem: Problem, word: int, width: int) -> None:
    """Start to load the rows of the table that a word is a sum of."""
    starts = problem.parts.starts
    prefetch_rows(problem.center, problem.parts.rows[starts[word] : starts[word + 1]], width)


@compiled
def sum_parts(
    problem: Problem, sizes: Sizes, step: int, job: int, plans: Plans, buffer: Buffer, shard: Shard
) -> None:
    """Compute the vectors of the words of a job."""
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


@compiled
def sum_words(
    problem: Problem, sizes: Sizes, step: int, job: int, plans: Plans, buffer: Buffer, shard: Shard
) -> None:
    """Add up the gradients of the words of a job, in place of their vectors."""
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


@compiled
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
    """Move some rows of the table along their shares of the gradients of words."""
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
    """Return the number of jobs in which the rows of the table of input vectors are moved."""
    if sizes.parts:
        return int(-(-shard.several[step, 2] // PARTS))
    return int(-(-shard.several[step, 0] // WORDS))


@compiled
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
    """Move the words of a job. The first jobs have center words, the others outside words."""
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
    else:
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
    """Train on a shard, together with other threads that call this function.

    Parameters
    ----------
    key
        The key of all draws.
    rates
        The learning rate at the start and at the end; it changes linearly.
    scratch
        The memory of this thread; all other arguments are the same for all of them.

    Returns
    -------
    int
        The number of steps.
    """
    jobs, phase = shard.jobs, 0
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
            number = -(-step_centers(sizes, shard, step) // (sizes.strip * sizes.tile))
            job = take(jobs, phase)
            while job < number:
                compute_strip(problem, sizes, step, job, plans, buffer, shard, rate, scratch)
                finish(jobs, phase)
                job = take(jobs, phase)
            wait(jobs, phase, number)
            phase += 1
            if sizes.parts:
                job = take(jobs, phase)
                while job < words:
                    sum_words(problem, sizes, step, job, plans, buffer, shard)
                    finish(jobs, phase)
                    job = take(jobs, phase)
                wait(jobs, phase, words)
                phase += 1
            number = input_jobs(sizes, shard, step) - (-shard.several[step, 1] // WORDS)
            job = take(jobs, phase)
            while job < number:
                move(problem, sizes, step, job, plans, buffer, shard, rate)
                finish(jobs, phase)
                job = take(jobs, phase)
            wait(jobs, phase, number)
            phase += 1
    return int(steps)
