"""Random numbers: seeded generators, counter-based draws, sub-sampling and noise words.

`generator` returns a NumPy generator for single events, such as shuffling documents. `draw` returns
random numbers for each word of a text, which are a function of a key, a purpose and a counter, so
that they do not depend on the order in which threads process the words.
"""

import zlib
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

UInt32Array: TypeAlias = NDArray[np.uint32]


def generator(seed: int, purpose: str, *indices: int) -> np.random.Generator:
    """Return a random generator that is independent of those for other purposes with the same seed.

    Parameters
    ----------
    seed
        The seed of the run.
    purpose
        What the random numbers are used for, such as ``"train"``.
    indices
        Further numbers, such as that of an epoch. Each combination has a generator of its own, so
        that training can resume at an epoch without the states of earlier generators.
    """
    key = (zlib.crc32(purpose.encode()), *indices)
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


class Key(NamedTuple):
    """The key of counter-based random draws: two numbers below 2**32."""

    first: np.uint32
    second: np.uint32


def draw_key(random: np.random.Generator) -> Key:
    """Draw a random key for the functions `draw` and `draw_evenly`."""
    return Key(*random.integers(2**32, size=2, dtype=np.uint32))


def threefry(key0: Any, key1: Any, x0: Any, x1: Any) -> tuple[Any, Any]:
    """Return 64 random bits for each counter (x0, x1) under a key: Threefry-2x32 with 20 rounds.

    The arguments and the two results are uint32: arrays, or scalars in code that Numba compiles.
    `jax.extend.random.threefry_2x32` computes the same function.

    References
    ----------
    Salmon, Moraes, Dror and Shaw (2011), Parallel random numbers: as easy as 1, 2, 3.
    """
    # The casts keep NumPy and Numba from giving a result another type than uint32.
    key2 = np.uint32(key0 ^ key1 ^ np.uint32(0x1BD11BDA))
    x0, x1 = np.uint32(x0 + key0), np.uint32(x1 + key1)
    for bits in (13, 15, 26, 6):
        x0 = np.uint32(x0 + x1)
        x1 = np.uint32((x1 << np.uint32(bits)) | (x1 >> np.uint32(32 - bits)))
        x1 = np.uint32(x1 ^ x0)
    x0, x1 = np.uint32(x0 + key1), np.uint32(x1 + key2 + np.uint32(1))
    for bits in (17, 29, 16, 24):
        x0 = np.uint32(x0 + x1)
        x1 = np.uint32((x1 << np.uint32(bits)) | (x1 >> np.uint32(32 - bits)))
        x1 = np.uint32(x1 ^ x0)
    x0, x1 = np.uint32(x0 + key2), np.uint32(x1 + key0 + np.uint32(2))
    for bits in (13, 15, 26, 6):
        x0 = np.uint32(x0 + x1)
        x1 = np.uint32((x1 << np.uint32(bits)) | (x1 >> np.uint32(32 - bits)))
        x1 = np.uint32(x1 ^ x0)
    x0, x1 = np.uint32(x0 + key0), np.uint32(x1 + key1 + np.uint32(3))
    for bits in (17, 29, 16, 24):
        x0 = np.uint32(x0 + x1)
        x1 = np.uint32((x1 << np.uint32(bits)) | (x1 >> np.uint32(32 - bits)))
        x1 = np.uint32(x1 ^ x0)
    x0, x1 = np.uint32(x0 + key1), np.uint32(x1 + key2 + np.uint32(4))
    for bits in (13, 15, 26, 6):
        x0 = np.uint32(x0 + x1)
        x1 = np.uint32((x1 << np.uint32(bits)) | (x1 >> np.uint32(32 - bits)))
        x1 = np.uint32(x1 ^ x0)
    x0, x1 = np.uint32(x0 + key2), np.uint32(x1 + key0 + np.uint32(5))
    return x0, x1


def draw(key: Key, purpose: int, numbers: NDArray[np.int64]) -> tuple[UInt32Array, UInt32Array]:
    """Return 64 random bits for each of n counters, as two uint32 arrays.

    Equal keys, purposes and counters give equal bits; if any of the three differs, the bits are
    independent.

    Parameters
    ----------
    key
        The key of the draws.
    purpose
        A number that separates draws for different purposes under the same key.
    numbers : int64 (n,)
        The counters, below 2**32.

    Returns
    -------
    first, second : uint32 (n,)
        32 random bits each.
    """
    keys = np.full(1, key.first), np.full(1, key.second)
    first, second = threefry(*keys, numbers.astype(np.uint32), np.full(1, purpose, np.uint32))
    return first, second


SPACING = np.uint32(0x9E3779B9)
"""The step of the recurrence in `draw_evenly`: the odd number nearest to 2**32 / golden ratio."""


def draw_evenly(key: Key, purpose: int, numbers: NDArray[np.int64], parts: int) -> UInt32Array:
    """Return a random 32-bit integer for each counter, evenly spread for consecutive counters.

    Equal arguments give equal integers. If noise words are drawn by these integers, they occur
    almost exactly as often as their probabilities say. A group is `parts` consecutive counters, the
    first a multiple of `parts`; its integers are one from each of `parts` equal intervals of the
    32-bit range, up to rounding. In N consecutive groups, the number of integers in any interval
    differs from the expected number by less than 6 if N is at most 100,000, and by O(log N) in
    general.

    Parameters
    ----------
    purpose
        A number that separates draws for different purposes under the same key.
    numbers : int64
        The counters, in an array of any shape.
    parts
        The number of counters in a group, at least 2.

    Returns
    -------
    uint32, of the shape of `numbers`

    References
    ----------
    L. Kuipers and H. Niederreiter (1974), Uniform distribution of sequences, chapter 2.3.
    """
    # The start is random, so that each integer is uniformly distributed. Groups are shifted by an
    # additive recurrence with the golden ratio.
    start, _ = draw(key, purpose, np.zeros(1, np.int64))
    groups, places = np.divmod(numbers, parts)
    moved: UInt32Array = groups.astype(np.uint32) * SPACING // np.uint32(parts)
    return start + moved + places.astype(np.uint32) * np.uint32(2**32 // parts)


def keep_probabilities(counts: NDArray[np.int64], threshold: float) -> NDArray[np.float32]:
    """Return the probability that the sub-sampling of frequent words keeps each word.

    It is ``min(1, sqrt(t / f) + t / f)`` for a word of relative frequency f, as in word2vec's code.
    A slightly different formula is in Mikolov et al. (2013), Distributed Representations of Words
    and Phrases, section 2.3.

    Parameters
    ----------
    counts : int64 (V,)
        How often each word occurs.
    threshold
        The threshold t of sub-sampling; 0 keeps every word.

    Returns
    -------
    float32 (V,)
    """
    if threshold == 0:
        return np.ones(len(counts), np.float32)
    with np.errstate(divide="ignore"):  # a word that never occurs has the probability 1
        ratio = float(threshold) * float(counts.sum()) / counts
    kept: NDArray[np.float32] = np.minimum(1, np.sqrt(ratio) + ratio).astype(np.float32)
    return kept


def keep_thresholds(counts: NDArray[np.int64], threshold: float) -> UInt32Array:
    """Return an integer for each word, by which sub-sampling decides whether to keep the word.

    An occurrence of the word is kept if a random 32-bit integer is at most this integer,
    ``p * 2**32 - 1`` (rounded, and not below 0). p is the probability of keeping the word:
    ``min(1, sqrt(t / f) + t / f)`` for a relative frequency f, as in word2vec's code. Integers,
    unlike floats, are compared in the same way by all implementations of the training.

    Parameters
    ----------
    counts : int64 (V,)
    threshold
        The threshold t of sub-sampling; 0 keeps every word.

    Returns
    -------
    uint32 (V,)
    """
    scaled = np.round(keep_probabilities(counts, threshold).astype(np.float64) * 2**32)
    kept: UInt32Array = np.clip(scaled - 1, 0, 2**32 - 1).astype(np.uint32)
    return kept


class NoiseDistribution:
    """Maps random 32-bit integers to noise words.

    The probability of a word is proportional to count ** exponent. An integer yields the word in
    whose interval it is; the intervals are in the order of the vocabulary. Words that never occur
    are not drawn, but the integer 0 always yields the first word.

    Parameters
    ----------
    counts : int64 (V,)
        How often each word occurs; not all 0.

    Attributes
    ----------
    probabilities : float64 (V,)
    last : uint32 (V,)
        The last integer of each word's interval.
    start : int32 (V,)
        A table that shortens the search for the word of an integer x: it is the word
        ``start[x * V // 2**32]`` or a later one.
    """

    def __init__(self, counts: NDArray[np.int64], exponent: float) -> None:
        weights = np.zeros(len(counts))
        occurring = counts[counts > 0]
        # Counts are divided by that of the most probable word, so that powers cannot overflow.
        scale = occurring.max() if exponent > 0 else occurring.min()
        weights[counts > 0] = (occurring / scale) ** exponent
        self.probabilities = weights / weights.sum()
        ends = np.round(np.cumsum(self.probabilities) * 2**32)
        ends[np.flatnonzero(counts)[-1] :] = 2**32  # in spite of rounding errors
        self.last = np.clip(ends - 1, 0, 2**32 - 1).astype(np.uint32)
        size = len(counts)
        cells = -(-np.arange(size, dtype=np.int64) * 2**32 // size)
        self.start = self.words(cells.astype(np.uint32))

    def words(self, numbers: UInt32Array) -> NDArray[np.int32]:
        """Return the id of the noise word for each random integer: int32 (n,) for uint32 (n,)."""
        return np.searchsorted(self.last, numbers).astype(np.int32)
