"""Compute the gradients of a strip of the text, for the compiled loop in ``loop.py``.

A strip (a run of consecutive center words) is divided into tiles, groups of center words that are
scored together. `compute_strip` processes the tiles of a strip. For CBOW with the hierarchical
softmax, ``cbow_hierarchical.py`` takes the place of `compute_strip`, because the words of its tiles
are not consecutive.

Most code that differs between skip-gram and CBOW is in ``windows.py``, and most code that differs
between losses in ``negative_sampling.py`` and ``hierarchical.py``.
"""

import numpy as np

from w2v.engines.compiled.cbow_negative_sampling import score_centers, write_centers
from w2v.engines.compiled.functions import inlined, inner
from w2v.engines.compiled.hierarchical import choose_node_targets, score_nodes, write_node_gradients
from w2v.engines.compiled.negative_sampling import (
    choose_weights,
    compute_gradients,
    compute_scores,
    sum_curvature,
)
from w2v.engines.compiled.plans import step_tiles
from w2v.engines.compiled.rows import choose_targets, gather_rows, prefetch_rows, put_gradients
from w2v.engines.compiled.simd import LANES, address, unsigned
from w2v.engines.compiled.structures import (
    F32,
    I32,
    MR,
    Band,
    Buffer,
    Plans,
    Problem,
    Scratch,
    Shard,
    Sizes,
    Tile,
)
from w2v.engines.compiled.windows import (
    AHEAD,
    locate_words,
    read_windows,
    share_gradients,
    write_shares,
)


@inlined
def strip_centers(sizes: Sizes, shard: Shard, step: int, strip: int) -> int:
    """Return the number of center words of a strip of text, rounded up to whole tiles.

    A strip is a part of the text of a training step, and a tile a group of its center words. The
    last strip of a step may be shorter than the others. ``step`` is the number of the step in the
    shard (a large part of the text), and ``strip`` that of the strip in the step.
    """
    tiles = step_tiles(sizes, shard, step)
    return int(min(sizes.strip, tiles - strip * sizes.strip) * sizes.tile)


@inlined
def prefetch_first_window(sizes: Sizes, matrix: F32, ids: I32) -> None:
    """For CBOW, prefetch the vectors of the first words of a strip, before its windows are summed.

    A strip is a part of the text. `windows.read_windows` later sums the vectors in each window, and
    prefetches the strip's other vectors. ``ids`` are the rows of ``matrix`` with the vectors, in
    the order of the text; -1 is skipped.
    """
    prefetch_rows(matrix, ids[: 2 * sizes.window + AHEAD], sizes.vectors * LANES)


@inner
def read_band(
    sizes: Sizes, matrix: F32, ids: I32, noise: I32, place: int, tile: Tile, own: Band
) -> None:
    """For negative sampling, copy the output vectors that a tile is scored with.

    A tile is 64 consecutive center words, which share noise words. The vectors of the words that
    the tile may predict are copied to ``tile.R`` (not for CBOW), and the vectors of its noise words
    to ``own.N``. The squared lengths of the copies are written to ``tile.norms`` and
    ``own.noise_norms``. The tiles of a strip (a part of the text) must be read in order, because
    vectors that an earlier tile has copied to ``tile.R`` are not copied again.

    ``ids`` are the words that the strip may predict, beginning ``sizes.reach`` positions before its
    first center word. ``place`` is the position of the tile's first center word in the strip.
    """
    if not sizes.windows:
        end = place + sizes.contexts
        known = 0 if place == 0 else end - sizes.tile
        gather_rows(matrix, ids[known:end], tile.R[known:], tile.norms[known:])
    gather_rows(matrix, noise[: sizes.noise], own.N, own.noise_norms)


@inner
def choose_band_targets(
    sizes: Sizes,
    matrix: F32,
    ids: I32,
    noise: I32,
    places: I32,
    curvature: F32,
    rate: np.float32,
    place: int,
    number: int,
    last: bool,
    gradients: int,
    row: int,
    tile: Tile,
    own: Band,
) -> None:
    """For negative sampling, decide where the gradient of each output vector of a tile is written.

    A tile is 64 consecutive center words. The gradient buffer has a row for each noise word of the
    tile, and for each text position whose word the tile may predict. The next tile of the strip may
    predict some of these positions, too, and will then add to their gradients: they are written to
    the buffer. For all others, `rows.choose_targets` decides between the buffer and the model. The
    decisions and the step sizes are stored in ``tile``.

    Parameters
    ----------
    ids
        The words that the strip (a sequence of tiles) may predict, beginning ``sizes.reach``
        positions before its first center word.
    places
        For each row of the buffer, the index of the buffer row (itself or another) to which its
        gradient is written or added; `ALONE` if the gradient updates the model (`Lists`).
    curvature
        For each row of the buffer, a bound on the curvature (second derivative) of the loss, which
        limits the step size. Updated here from ``own.sums``.
    place, number, last
        The position of the tile's first center word in the strip, the index of the tile in the
        strip, and whether it is the strip's last tile.
    gradients, row
        The address of the buffer, and the index of the strip's first row in the buffer.
    """
    contexts, size = sizes.contexts, 4 * sizes.vectors * LANES
    k = row + sizes.slots - (sizes.strip - number) * sizes.noise
    a, b, c, d = own.sums[0], own.sums[1], own.sums[2], own.sums[3]
    # Adjacent tiles share the rows of words that both may predict, but not those of noise words.
    own_rows, noise_rows = curvature[row + place :], curvature[k:]
    for j in range(unsigned(contexts)):
        own_rows[j] += (a[j] + b[j]) + (c[j] + d[j])
    for j in range(unsigned(sizes.noise)):
        i = unsigned(contexts) + j
        noise_rows[j] = (a[i] + b[i]) + (c[i] + d[i])
    choose_targets(
        matrix,
        ids[place : place + (contexts if last else sizes.tile)],
        places,
        curvature,
        rate,
        0 if sizes.windows else address(tile.R) + place * size,
        gradients,
        row + place,
        tile,
        sizes.tile,
    )
    if not last:  # the next tile adds to the gradients of the last rows
        for j in range(sizes.tile, contexts):
            i = unsigned(sizes.tile + j)
            tile.out[i] = gradients + (row + place + j) * size
            tile.old[i], tile.steps[i] = address(tile.zeros), 1
    choose_targets(
        matrix,
        noise[: sizes.noise],
        places,
        curvature,
        rate,
        address(own.N),
        gradients,
        k,
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
    ahead: I32,
) -> tuple[float, float]:
    """For the hierarchical softmax, score a tile with its tree nodes, and differentiate the loss.

    A score is the dot product of a node's vector and an input row (a center word's vector or, for
    CBOW, the sum or mean of the vectors around it). Input rows are read from ``scratch.tile.C``.
    The negative derivatives of the loss with respect to the scores are written to
    ``scratch.tile.scores``. Bounds on the curvature (second derivative) of the loss, which limit
    step sizes, are written to ``of_centers`` for input rows and to ``buffer.outside_curvature`` for
    nodes.

    Parameters
    ----------
    n, number
        The index of the training step in ``plans``, and of the tile (a group of center words) in
        the training step.
    documents
        For skip-gram, the document numbers of the words, beginning ``sizes.reach`` positions before
        the tile. Not used for CBOW.
    ahead
        The rows of ``buffer.inputs`` to prefetch for the next tile; may be empty.

    Returns
    -------
    The summed weight of the tile's pairs, and their loss. For CBOW, the weight is 0, and the caller
    counts the pairs.
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
        buffer.inputs,
        ahead,
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
    ahead: I32,
) -> None:
    """Compute the gradients of a tile of the hierarchical softmax; store them or apply them.

    `score_node_tile` must have scored the tile, a group of center words. The negative gradients of
    its input rows (the vectors that predict) are written to the addresses in ``scratch.tile.out``
    (`rows.Targets`). A tree node that occurs in no other tile of the training step is updated in
    the model. The gradient of any other node is written or added to a row of ``buffer``.

    ``n`` is the index of the training step in ``plans``, and ``number`` that of the tile. The
    vectors of the nodes ``ahead`` are prefetched for the next tile.
    """
    begin, end = plans.node_starts[n, number], plans.node_starts[n, number + 1]
    width, ids, places = sizes.vectors * LANES, plans.nodes[n, begin:end], plans.outside.places[n]
    gradients, curvature = address(buffer.outside), buffer.outside_curvature
    tile, own = scratch.tile, scratch.nodes
    if sizes.sorted:
        choose_node_targets(
            problem.outside, ids, places, curvature, rate, gradients, begin, width, tile, own
        )
        write_node_gradients(sizes, tile, own, address(own.factors), problem.outside, ahead)
        return
    # For skip-gram, most nodes are in several tiles.
    buffer.outside[begin:end] = 0
    gradients += 4 * begin * width
    for j in range(len(ids)):
        own.out[j] = gradients + 4 * j * width
    write_node_gradients(sizes, tile, own, address(tile.scores), problem.outside, ahead)
    put_gradients(
        problem.outside,
        ids,
        places[begin:],
        curvature[begin:],
        rate,
        address(tile.R),
        gradients,
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

    A word of the strip (a part of the text) is in several windows, and its gradient is a weighted
    sum of their gradients. If the word occurs only once in the training step, its vector in the
    model is updated at once. Otherwise, and always with subwords, the gradient is written to
    ``buffer`` (`rows.choose_targets`).

    Parameters
    ----------
    n, strip, centers
        The index of the training step in ``plans``, the index of the strip in the training step,
        and the number of center words of the strip, rounded up to whole tiles.
    gradients
        The address of the windows' negative gradients, one for each center word: the gradients with
        respect to the sum or mean of the vectors around the center word.
    of_windows
        For each window, a bound on the curvature (second derivative) of the loss, which limits the
        step size.
    """
    start, row = strip * sizes.strip * sizes.tile, strip * sizes.input_slots
    curvature, windows = buffer.center_curvature[row:], scratch.windows
    lows, highs = plans.lows[n, start : start + centers], plans.highs[n, start : start + centers]
    mean, exact, weights = problem.mean, problem.exact, plans.weights[n, start:]
    zeros = address(scratch.tile.zeros)
    share_gradients(
        mean,
        exact,
        sizes,
        lows,
        highs,
        weights,
        start,
        of_windows,
        gradients,
        zeros,
        windows,
        curvature,
    )
    choose_targets(
        problem.center,
        plans.ids[n, start : start + centers + 2 * sizes.window],
        plans.center.places[n],
        buffer.center_curvature,
        rate,
        0,
        address(buffer.center),
        row,
        scratch.tile,
        0,
    )
    write_shares(sizes, centers, scratch.tile, windows)


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
    """Compute the loss and the gradients of one strip, a part of the text of a training step.

    A vector (of a word or tree node) that gets only one gradient in the training step is updated in
    the model at once. Other gradients are written to ``buffer``; `updates.move` applies them at the
    end of the training step. With subwords, all gradients of input vectors are written to
    ``buffer``. The summed weight of the strip's pairs, and their loss, are stored in
    ``shard.tallies``. CBOW with the hierarchical softmax has functions of its own
    (``cbow_hierarchical.py``).

    ``step`` is the index of the training step in the shard (a large part of the text), and
    ``strip`` that of the strip in the training step.
    """
    n, width, tile = step % len(plans.ids), sizes.vectors * LANES, scratch.tile
    windows, band, size = scratch.windows, scratch.band, 4 * width
    tiles = step_tiles(sizes, shard, step)
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
    input_row = strip * sizes.input_slots
    input_curvature = buffer.center_curvature[input_row:]
    lows, highs = plans.lows[n, start:], plans.highs[n, start:]
    window_weights = plans.weights[n, start:]
    if sizes.windows:
        count = (last - first) * sizes.tile + 2 * sizes.window
        locate_words(matrix, ids[:count], address(tile.zeros), windows.rows)
    row = strip * sizes.slots
    dR = address(buffer.outside) + row * size
    if not sizes.nodes:
        buffer.outside_curvature[row : row + sizes.slots - sizes.strip * sizes.noise] = 0
    pairs = loss = np.float64(0)
    # Prefetching loads more rows at the same time than copying them one after the other.
    if sizes.windows:
        prefetch_first_window(sizes, matrix, ids)
    else:
        prefetch_rows(matrix, ids[: sizes.tile], width)
        if sizes.nodes:
            begin, end = plans.node_starts[n, first], plans.node_starts[n, first + 1]
            prefetch_rows(problem.outside, plans.nodes[n, begin:end], width)
        else:
            noise = plans.noise[n, first * sizes.noise : (first + 1) * sizes.noise]
            prefetch_rows(problem.outside, around[: sizes.contexts], width)
            prefetch_rows(problem.outside, noise, width)
    for number in range(last - first):
        place, ends = number * sizes.tile, first + number + 1 == last
        if not ends and not sizes.windows:
            # The rows of the next tile are loaded into the cache while this tile is computed.
            k = place + sizes.tile
            prefetch_rows(matrix, ids[k : k + sizes.tile], width)
            k = first + number + 1
            if sizes.nodes:
                begin, end = plans.node_starts[n, k], plans.node_starts[n, k + 1]
                prefetch_rows(problem.outside, plans.nodes[n, begin:end], width)
            else:
                noise = plans.noise[n, k * sizes.noise : (k + 1) * sizes.noise]
                k = place + sizes.contexts
                prefetch_rows(problem.outside, around[k : k + sizes.tile], width)
                prefetch_rows(problem.outside, noise, width)
        if sizes.windows:
            out, zeros, until = address(tile.C), address(tile.zeros), place + sizes.tile
            rows = windows.outside
            k = first + number
            noise = plans.noise[n, k * sizes.noise : (k + 1) * sizes.noise]
            locate_words(problem.outside, around[place:until], zeros, rows)
            locate_words(problem.outside, noise, zeros, rows[sizes.tile :])
            read_windows(
                sizes, lows, highs, window_weights, start, place, until, out, tile, windows
            )
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
                ids[:0],
            )
        else:
            noise = plans.noise[n, (first + number) * sizes.noise :]
            weights, tile_pairs = choose_weights(
                problem.pairs, sizes, documents[place:], lows[place:], highs[place:], tile, band
            )
            read_band(sizes, problem.outside, around, noise, place, tile, band)
            if sizes.windows:
                score_centers(sizes, windows.outside, address(tile.norms) + 4 * place, tile)
            tile_loss = compute_scores(sizes, tile, band, weights, address(tile.R) + place * size)
            sum_curvature(sizes, tile, band, address(tile.norms) + 4 * place, of_centers)
            choose_band_targets(
                sizes,
                problem.outside,
                around,
                noise,
                plans.outside.places[n],
                buffer.outside_curvature,
                rate,
                place,
                number,
                ends,
                address(buffer.outside),
                row,
                tile,
                band,
            )
        pairs += tile_pairs
        loss += tile_loss
        if not sizes.windows:
            choose_targets(
                problem.center,
                words[place : place + sizes.tile],
                plans.center.places[n],
                buffer.center_curvature,
                rate,
                address(tile.C),
                address(buffer.center),
                input_row + place,
                tile,
                0,
            )
        if sizes.nodes:
            k = first + number
            write_node_tile(problem, sizes, n, k, plans, buffer, rate, scratch, ids[:0])
        else:
            if sizes.windows:
                out = address(windows.gradients) + place * size
                write_centers(sizes, windows.outside, out, tile, band)
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
    row = step * (sizes.step // sizes.tile) + first
    shard.tallies[row, 0], shard.tallies[row, 1] = pairs, loss
