"""What the compiled loops of ``engine=numba`` work on: the model, the text, plans and buffers.

A step is cut into strips, and a strip into tiles of running center words (see
`w2v.engines.kernels`). What a tile reads and writes has one of two forms on either side:

- Input rows: one for each center word, or, if ``Sizes.windows``, one for each word of the text from
  m words before the strip to m after it, of which a center's input row is a sum.
- Output rows: the words around the centers and noise words (a band), or, if ``Sizes.nodes``, the
  inner nodes of a tree that are on the paths of the words that the tile predicts.

With subwords (``Sizes.parts``) an input row is the vector of a word, which is in turn a sum of rows
of the table.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2v.engines.jobs import make_jobs
from w2v.engines.negative_sampling import NOISE
from w2v.engines.simd import LANES
from w2v.engines.tiles import CENTERS

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I8 = NDArray[np.int8]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
U32 = NDArray[np.uint32]

MR, NR = 4, 2
"""Center rows and outside rows in a block of scores. Its eight sums are enough to hide the latency
of two multiply-adds a cycle. The functions are written out for these sizes."""

LINE = 16
"""Float32 numbers in a cache line."""

BLOCK = 4096
"""Tokens that are sub-sampled at a time."""

STRIP = 64
"""The least center words in a strip. Fewer would make threads write more: a strip has rows of the
buffer for 2 m words around it, too."""


NODE_TILE = 128
"""The center words of a tile with nodes, where a step has a multiple of them. The more there are,
the fewer nodes a tile has for each; but its nodes should stay in the cache."""


class Parts(NamedTuple):
    """The vector of each word as a sum of rows of the table of input vectors, with subwords.

    Attributes
    ----------
    starts : int32 (V + 1,)
        Word w has the entries ``starts[w] : starts[w + 1]`` of the next three arrays.
    rows : int32 (E,)
    weights, shares : float32 (E,)
        What each row is multiplied by in the sum, and what the gradient by the sum is multiplied
        by for each row.
    totals : float32 (V,)
        The sum of the weights of each word.
    """

    starts: I32
    rows: I32
    weights: F32
    shares: F32
    totals: F32


class Paths(NamedTuple):
    """The paths of the words in a tree; see `w2v.huffman.HuffmanTree`.

    Attributes
    ----------
    starts : int32 (V + 1,)
    nodes, codes : int32, int8
    """

    starts: I32
    nodes: I32
    codes: I8


class Pairs(NamedTuple):
    """The weights of pairs.

    Attributes
    ----------
    weights : float32 (2 reach + 1,)
        The weight of what an input row predicts, by distance, from -reach to reach.
    sums : float32 (2 reach + 2,)
        The sums of none, one, two ... of these weights.
    negatives
        K, the number of noise words per pair.
    """

    weights: F32
    sums: F32
    negatives: np.float32


class Problem(NamedTuple):
    """The model and the settings, which all threads share.

    Attributes
    ----------
    center, outside : float32, rows of width
        The tables of input and of output vectors, updated in place. Rows start on cache lines, and
        are zero from column d on.
    keep : uint32 (V,)
        See `w2v.sampling.keep_thresholds`.
    threshold, alias : uint32 (V,), int32 (V,)
        The noise distribution; see `w2v.sampling.NoiseDistribution`.
    draws_windows
        With windows: whether the size of each is drawn.
    mean, exact
        With windows: whether they are averaged or summed, and whether each word gets its share of
        the gradient or the whole.
    pairs, paths, parts
    """

    center: F32
    outside: F32
    keep: U32
    threshold: U32
    alias: I32
    draws_windows: bool
    mean: bool
    exact: bool
    pairs: Pairs
    paths: Paths
    parts: Parts


class Source(NamedTuple):
    """The documents to train on; see `w2v.text.tokens.Text`.

    Attributes
    ----------
    tokens, ids : int32 (n,), int32 (types,)
        Read-only.
    starts, ends : int64 (documents,)
        For each document, what to add to a position in the shard to get its place in ``tokens``;
        and the position in the shard at which it ends.
    """

    tokens: I32
    ids: I32
    starts: I64
    ends: I64


class Sizes(NamedTuple):
    """The sizes of a tile, a strip and a step, made by `make_sizes`.

    Attributes
    ----------
    reach
        The largest distance of a word that an input row predicts: m, or 0 with windows.
    band
        How many context rows a block of `MR` centers is scored with.
    row
        How many scores are stored for a center.
    contexts
        How many context rows a tile has, rounded up to whole blocks.
    vectors
        How many vectors a row has.
    tile
        The center words of a tile.
    window
        m, the words of the text before and after a step that are planned with it.
    step
        The center words of a step.
    strip, strips
        The tiles of a strip, and the strips of a step.
    slots
        The rows that a strip has in the buffer of gradients of outside rows: its context rows,
        then its noise words. With nodes, the most that it can have.
    input_slots
        The rows that a strip has in the buffer of gradients of input rows.
    columns
        The most nodes that a tile can have; 0 for a band.
    depth
        The length of the longest path; 0 for a band.
    words
        The most distinct words among the input rows of a step, with subwords; else 0.
    entries
        The most rows of the table that their sums have together.
    windows, nodes, parts
        Whether input rows are sums over windows, outside rows are nodes, and words are sums.
    """

    reach: int
    band: int
    row: int
    contexts: int
    vectors: int
    tile: int
    window: int
    step: int
    strip: int
    strips: int
    slots: int
    input_slots: int
    columns: int
    depth: int
    words: int
    entries: int
    windows: bool
    nodes: bool
    parts: bool


class Plans(NamedTuple):
    """What is known of some steps before they are taken. Arrays have a row for each step.

    The rows of the buffer that belong to one word (or node) are a list: `center_words` and
    `outside_words` have the words with several rows, `center_heads` and `outside_heads` the first
    row of each, and `center_next` and `outside_next` the row after a row, -1 after the last, or
    `w2v.engines.plans.ALONE`. With subwords, `center_words` has all words of the input rows.

    Attributes
    ----------
    ids, documents : int32 (n, step + tile + 2 m)
        The words from m before the step to m after it, and their documents; -1 where there is none.
    noise : int32 (n, step / tile * NOISE)
    center_words, center_heads, center_next : int32 (n, strips * input_slots)
    outside_words, outside_heads, outside_next : int32 (n, rows)
    lows, highs : int32 (n, step)
        With windows: where the window of each center begins and ends, as places in ``ids``.
    nodes : int32 (n, rows)
        The nodes of each tile, a multiple of `MR`; -1 for none.
    node_starts : int32 (n, tiles + 1)
        Where those of each tile begin.
    numbers : int32 (n, step + tile + 2 m)
        With subwords: the place of each word of ``ids`` in ``center_words``; -1 for none.
    part_rows, part_ends, part_words, part_shares : int32, int32, int32, float32
        With subwords: the distinct rows of the table that the words of the step are sums of. Row j
        has the entries from ``part_ends[j - 1]``, or 0, to ``part_ends[j]`` of the other two: the
        words, by their place in ``center_words``, and the row's shares of their gradients.
    """

    ids: I32
    documents: I32
    noise: I32
    center_words: I32
    center_heads: I32
    center_next: I32
    outside_words: I32
    outside_heads: I32
    outside_next: I32
    lows: I32
    highs: I32
    nodes: I32
    node_starts: I32
    numbers: I32
    part_rows: I32
    part_ends: I32
    part_words: I32
    part_shares: F32


class Buffer(NamedTuple):
    """The gradients of a step, by row.

    Attributes
    ----------
    center : float32 (strips * input_slots, width)
        Minus the gradient by each input row.
    outside : float32 (rows, width)
        -∂J/∂R.
    center_curvature, outside_curvature : float32, one for each row
        The row's part of h (``w2v/README.md``, "Kept stable").
    words : float32 (words, width)
        With subwords: the vectors of the step's words; after its strips, minus their gradients.
    word_curvature : float32 (words,)
    """

    center: F32
    outside: F32
    center_curvature: F32
    outside_curvature: F32
    words: F32
    word_curvature: F32


class Shard(NamedTuple):
    """What is written about a shard, for later jobs and for the engine.

    Attributes
    ----------
    jobs : int64 (phases, 16)
        See `w2v.engines.jobs`.
    ids, documents : int32 (n,)
        The words that are kept, those of block b from b * `BLOCK` on, and their documents.
    words, kept : int64 (blocks,)
        The words of each block before and after sub-sampling.
    starts : int64 (blocks + 1,)
        The words that are kept before each block, and in all.
    several : int64 (steps, 3)
        The number of words in ``center_words`` and ``outside_words``, and of rows in
        ``part_rows``, of `Plans`, for each step.
    tallies : float64 (strips, 2)
        The summed weight of the pairs and the loss of each strip.
    """

    jobs: I64
    ids: I32
    documents: I32
    words: I64
    kept: I64
    starts: I64
    several: I64
    tallies: F64


class Entries(NamedTuple):
    """A sparse matrix, by rows and by columns; the memory for it.

    Attributes
    ----------
    starts : int32 (rows + 1,)
        Row i has the entries ``starts[i] : starts[i + 1]``.
    columns : int32 (n,)
        The column of each entry.
    ends : int32 (columns + 1,)
        Column j has the entries from ``ends[j - 1]``, or 0, to ``ends[j]`` of those below.
    rows, order : int32 (n,)
        By column: the row of each entry, and its number in ``columns``.
    factors, column_factors : float32 (n,)
        The values of the entries by row, and those by column.
    """

    starts: I32
    columns: I32
    ends: I32
    rows: I32
    order: I32
    factors: F32
    column_factors: F32


class Planning(NamedTuple):
    """The working memory in which a thread plans.

    Attributes
    ----------
    bits, more_bits : uint32 (BLOCK,)
        Random numbers.
    heads : int32 (V,)
        The last row of each word that was added to its list; -1 if there is none.
    seen : int32 (V - 1,)
        With nodes: the last tile that each node was listed for; -1 if there is none.
    parts : int32 (rows of the table,)
        With subwords: the place of each row in ``part_rows`` of `Plans`; -1 if it has none.
    part_places : int32 (entries,)
        With subwords: that place, for each part of each word of a step.
    """

    bits: U32
    more_bits: U32
    heads: I32
    seen: I32
    parts: I32
    part_places: I32


class Tile(NamedTuple):
    """The working memory of a tile.

    Attributes
    ----------
    lows, highs : int32 (tile,)
        Where the words that a center predicts begin and end, by distance.
    C, R : float32, rows of width
        The centers, and a strip's contexts or the tile's nodes.
    center_norms, norms : float32
        Their squared lengths.
    scores, curvature : float32
    out, old, steps : int64, int64 and float32, one for each row of a tile or of a strip's inputs
        See `w2v.engines.rows.Targets`.
    zeros : float32 (width,)
    """

    lows: I32
    highs: I32
    C: F32
    center_norms: F32
    R: F32
    norms: F32
    scores: F32
    curvature: F32
    out: I64
    old: I64
    steps: F32
    zeros: F32


class Band(NamedTuple):
    """The working memory of a tile that is scored with the words around it and with noise words.

    Attributes
    ----------
    weights : float32 (2, tile * row)
        The weight of each score, negative for noise: of a tile, and of any tile inside a document.
    inside_pairs : float64 (1,)
        The summed weight of the pairs of the latter; 0 if it was not computed yet.
    N, noise_norms : float32
        The noise words' rows, and their squared lengths.
    mask : float32 (NOISE + 2 m + 1, rounded up to whole vectors)
        1 for each noise word and each context of a center, then 0.
    sums : float32 (MR, contexts + NOISE + at least 2 m + 1)
        See `w2v.engines.band.sum_curvature`.
    """

    weights: F32
    inside_pairs: F64
    N: F32
    noise_norms: F32
    mask: F32
    sums: F32


class Windows(NamedTuple):
    """The working memory of a strip whose input rows are sums over windows.

    Attributes
    ----------
    T, T_norms : float32
        The rows of the strip's words, and their squared lengths.
    gradients, curvature : float32
        Minus the gradients by the strip's centers, and their curvatures.
    entries
        Which words each center is the sum of.
    """

    T: F32
    T_norms: F32
    gradients: F32
    curvature: F32
    entries: Entries


class Nodes(NamedTuple):
    """The working memory of a tile that is scored with nodes.

    Attributes
    ----------
    columns : int32 (V - 1,)
        The column of each node of the tile.
    keys : int32 (contexts * depth,)
        For each word of the tile and each node on its path, twice the node's column, and the code.
    key_sums : float32 (2 * columns,)
        The weight of each key for a center.
    entries
        Which nodes each center is scored with.
    """

    columns: I32
    keys: I32
    key_sums: F32
    entries: Entries


class Scratch(NamedTuple):
    """The working memory of a thread."""

    planning: Planning
    tile: Tile
    band: Band
    windows: Windows
    nodes: Nodes


def round_up(n: int, step: int) -> int:
    """Return the smallest multiple of ``step`` that is at least ``n``."""
    return -(-n // step) * step


def aligned_zeros(rows: int, columns: int) -> F32:
    """Return zeros, float32 (rows, columns), that start on a cache line."""
    raw = np.empty(rows * columns + LINE, np.float32)
    raw.fill(0)
    first = (-raw.ctypes.data // raw.itemsize) % LINE
    return raw[first : first + rows * columns].reshape(rows, columns)


def make_sizes(
    dim: int, window: int, step: int, reach: int | None = None, depth: int = 0, nodes: int = 0
) -> Sizes:
    """Return the sizes for vectors of ``dim`` numbers and steps of ``step`` center words.

    Parameters
    ----------
    dim, window, step
    reach
        The largest distance at which an input row predicts words. If it is None, that is the
        window; else the input rows are sums over windows.
    depth, nodes
        The length of the longest path in the tree, and its inner nodes; 0 without a tree.
    """
    windows, tile = reach is not None, CENTERS
    if nodes and window <= NODE_TILE:
        # More centers share a node, but a step must have whole tiles.
        tile = math.gcd(step, NODE_TILE)
    distance = window if reach is None else reach
    band = 2 * distance + MR
    contexts = round_up(tile + 2 * distance, MR)
    # The rows around a strip are at most as many as those of its centers.
    strip = min(-(-max(STRIP, 2 * window) // tile), -(-step // tile))
    columns = round_up(min(nodes, (tile + 2 * distance) * depth), MR)
    slots = strip * columns if nodes else (strip - 1) * tile + contexts + strip * NOISE
    inputs = round_up(tile + 2 * window, MR) if windows else tile
    return Sizes(
        tile=tile,
        reach=distance,
        band=band,
        row=band + MR - 1 + NOISE,
        contexts=contexts,
        vectors=-(-dim // LANES),
        window=window,
        step=step,
        strip=strip,
        strips=-(-step // (strip * tile)),
        slots=slots,
        input_slots=(strip - 1) * tile + inputs,
        columns=columns,
        depth=depth,
        words=0,
        entries=0,
        windows=windows,
        nodes=nodes > 0,
        parts=False,
    )


def with_parts(sizes: Sizes, parts: Parts) -> Sizes:
    """Return the sizes for words that are sums of rows of a table."""
    lengths = np.sort(np.diff(parts.starts))[::-1]
    words = min(len(lengths), sizes.strips * sizes.input_slots)
    return sizes._replace(words=words, entries=int(lengths[:words].sum()), parts=True)


def make_plans(sizes: Sizes, steps: int) -> Plans:
    """Return memory for the plans of a number of steps."""
    length = sizes.step + sizes.tile + 2 * sizes.window
    tiles = sizes.step // sizes.tile
    inputs, outputs = sizes.strips * sizes.input_slots, sizes.strips * sizes.slots
    widths = dict.fromkeys(("ids", "documents"), length)
    widths |= {"noise": 0 if sizes.nodes else tiles * NOISE}
    widths |= dict.fromkeys(("center_words", "center_heads", "center_next"), inputs)
    widths |= dict.fromkeys(("outside_words", "outside_heads", "outside_next"), outputs)
    widths |= dict.fromkeys(("lows", "highs"), sizes.step * sizes.windows)
    widths |= {"nodes": (outputs + 1) * sizes.nodes, "node_starts": (tiles + 1) * sizes.nodes}
    widths |= {"numbers": length * sizes.parts}
    widths |= {"part_rows": sizes.entries, "part_ends": (sizes.entries + 1) * sizes.parts}
    widths |= {"part_words": sizes.entries}
    arrays = {name: np.zeros((steps, width), np.int32) for name, width in widths.items()}
    return Plans(**arrays, part_shares=np.zeros((steps, sizes.entries), np.float32))


def make_buffer(sizes: Sizes) -> Buffer:
    """Return memory for the gradients of a step."""
    inputs, outputs = sizes.strips * sizes.input_slots, sizes.strips * sizes.slots
    width = sizes.vectors * LANES
    return Buffer(
        aligned_zeros(inputs, width),
        aligned_zeros(outputs, width),
        np.zeros(inputs, np.float32),
        np.zeros(outputs, np.float32),
        aligned_zeros(sizes.words, width),
        np.zeros(sizes.words, np.float32),
    )


def make_shard(sizes: Sizes, tokens: int, plans: int) -> Shard:
    """Return memory for what is written about a shard of so many tokens."""
    blocks, steps = -(-tokens // BLOCK), -(-tokens // sizes.step)
    return Shard(
        make_jobs(2 + -(-steps // plans) + (4 if sizes.parts else 2) * steps),
        np.empty(tokens, np.int32),
        np.empty(tokens, np.int32),
        np.zeros(blocks, np.int64),
        np.zeros(blocks, np.int64),
        np.zeros(blocks + 1, np.int64),
        np.zeros((steps, 3), np.int64),
        np.zeros((steps * sizes.strips, 2)),
    )


def make_entries(rows: int, columns: int, size: int) -> Entries:
    """Return memory for a sparse matrix with up to so many rows, columns and entries."""
    # Entries are computed in fours and in whole vectors, also the last ones.
    size = round_up(size, LANES) + LANES
    return Entries(
        starts=np.zeros(rows + 1, np.int32),
        columns=np.zeros(size, np.int32),
        ends=np.zeros(columns + 1, np.int32),
        rows=np.zeros(size, np.int32),
        order=np.zeros(size, np.int32),
        factors=np.zeros(size, np.float32),
        column_factors=np.zeros(size, np.float32),
    )


def make_scratch(sizes: Sizes, problem: Problem) -> Scratch:
    """Return working memory for a thread."""
    words, nodes = len(problem.keep), len(problem.outside) * sizes.nodes
    width, pairs = sizes.vectors * LANES, 2 * sizes.reach + 1
    contexts = (sizes.strip - 1) * sizes.tile + sizes.contexts
    rows = max(sizes.tile + max(sizes.contexts + NOISE, sizes.columns), sizes.input_slots)
    centers, windowed = sizes.strip * sizes.tile, sizes.input_slots * sizes.windows
    most = sizes.tile * min(pairs * sizes.depth, 2 * sizes.columns)
    scores, curvature = aligned_zeros(2, round_up(max(sizes.tile * sizes.row, most), LINE) + LANES)
    mask = np.zeros(NOISE + round_up(pairs, LANES), np.float32)
    mask[: NOISE + pairs] = 1
    return Scratch(
        planning=Planning(
            bits=np.zeros(BLOCK, np.uint32),
            more_bits=np.zeros(BLOCK, np.uint32),
            heads=np.full(words, -1, np.int32),
            seen=np.full(nodes, -1, np.int32),
            parts=np.full(len(problem.center) * sizes.parts, -1, np.int32),
            part_places=np.zeros(sizes.entries, np.int32),
        ),
        tile=Tile(
            lows=np.zeros(sizes.tile, np.int32),
            highs=np.zeros(sizes.tile, np.int32),
            C=aligned_zeros(sizes.tile, width),
            R=aligned_zeros(max(contexts, sizes.columns), width),
            center_norms=np.zeros(sizes.tile, np.float32),
            norms=np.zeros(max(contexts, sizes.columns) + LANES, np.float32),
            scores=scores,
            curvature=curvature,
            out=np.zeros(rows, np.int64),
            old=np.zeros(rows, np.int64),
            steps=np.zeros(rows, np.float32),
            zeros=np.zeros(width, np.float32),
        ),
        band=Band(
            weights=aligned_zeros(2, sizes.tile * sizes.row),
            inside_pairs=np.zeros(1),
            N=aligned_zeros(NOISE, width),
            noise_norms=np.zeros(NOISE, np.float32),
            mask=mask,
            sums=aligned_zeros(MR, sizes.contexts + NOISE + LANES),
        ),
        windows=Windows(
            T=aligned_zeros(windowed, width),
            T_norms=np.zeros(windowed, np.float32),
            gradients=aligned_zeros(centers * sizes.windows, width),
            curvature=np.zeros(centers * sizes.windows, np.float32),
            entries=make_entries(centers, windowed, centers * 2 * sizes.window * sizes.windows),
        ),
        nodes=Nodes(
            entries=make_entries(sizes.tile, sizes.columns, most),
            columns=np.zeros(nodes, np.int32),
            keys=np.zeros(sizes.contexts * sizes.depth, np.int32),
            key_sums=np.zeros(2 * sizes.columns + 1, np.float32),
        ),
    )
