"""Random numbers: seeded generators, counter-based draws, sub-sampling and noise words.

`generator` returns a NumPy generator for single events, such as shuffling documents. `draw` returns
random numbers for each word of a text. These are a function of a key and a counter, so that all
threads and engines get the same numbers, in whatever order they process the words.
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
        What is drawn, such as ``"train"``.
    indices
        Further numbers, such as that of an epoch. Each combination has a generator of its own, so
        that training can resume there without the states of earlier generators.
    """
    key = (zlib.crc32(purpose.encode()), *indices)
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


class Key(NamedTuple):
    """The key of counter-based random draws: two numbers below 2**32."""

    first: np.uint32
    second: np.uint32


def draw_key(random: np.random.Generator) -> Key:
    """Draw a random key for `draw`. Draws with different keys are independent of each other."""
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

    Equal keys, purposes and counters give equal bits; all others are independent.

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


def keep_probabilities(counts: NDArray[np.int64], threshold: float) -> NDArray[np.float32]:
    """Return the probability that the sub-sampling of frequent words keeps each word.

    It is ``min(1, sqrt(t / f) + t / f)`` for a word of relative frequency f, as in word2vec's code
    (Mikolov et al. 2013, section 2.3, describe a slightly different formula).

    Parameters
    ----------
    counts : int64 (V,)
        How often each word occurs.
    threshold
        t; 0 keeps every word.

    Returns
    -------
    float32 (V,)
    """
    if threshold == 0:
        return np.ones(len(counts), np.float32)
    ratio = threshold * counts.sum() / counts
    kept: NDArray[np.float32] = np.minimum(1, np.sqrt(ratio) + ratio).astype(np.float32)
    return kept


def keep_thresholds(counts: NDArray[np.int64], threshold: float) -> UInt32Array:
    """Return the sub-sampling probability of each word as an integer threshold.

    A word is kept if a random 32-bit integer is at most its threshold. Integers, unlike floats, are
    compared in the same way by all engines.

    Parameters
    ----------
    counts : int64 (V,)
        How often each word occurs.
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
    """Draws words in proportion to count ** exponent, in constant time by Walker's alias method.

    A draw first chooses one of V cells with equal probability, and then one of two words in the
    cell.

    Parameters
    ----------
    counts : int64 (V,)
        How often each word occurs.
    exponent
        The exponent of the counts.

    Attributes
    ----------
    probabilities : float64 (V,)
        The probability of each word.
    threshold : uint32 (V,)
        A draw in cell w yields word w if a random 32-bit integer is below this threshold.
    alias : int32 (V,)
        The word that a draw in cell w yields otherwise.

    References
    ----------
    A. J. Walker (1977), ACM Transactions on Mathematical Software 3, 253-256.
    """

    def __init__(self, counts: NDArray[np.int64], exponent: float) -> None:
        # Counts are divided by that of the most probable word, so that powers cannot overflow.
        weights = (counts / (counts.max() if exponent > 0 else counts.min())) ** exponent
        self.probabilities = weights / weights.sum()
        size = len(counts)
        threshold = self.probabilities * size
        alias = np.arange(size)
        small = [i for i in range(size) if threshold[i] < 1]
        large = [i for i in range(size) if threshold[i] >= 1]
        while small and large:
            low, high = small.pop(), large.pop()
            alias[low] = high
            threshold[high] -= 1 - threshold[low]
            (small if threshold[high] < 1 else large).append(high)
        # A full cell is its own alias, so that its word is drawn on either side of the threshold.
        threshold[small + large] = 1
        self.threshold = np.minimum(np.round(threshold * 2**32), 2**32 - 1).astype(np.uint32)
        self.alias = alias.astype(np.int32)

    def words(self, first: UInt32Array, second: UInt32Array) -> NDArray[np.int32]:
        """Convert random bits to noise words: int32 (n,).

        Parameters
        ----------
        first, second : uint32 (n,)
            Random bits of `draw`: the first choose a cell, the second one of its two words.
        """
        cell = (first.astype(np.uint64) * np.uint64(len(self.alias)) >> np.uint64(32)).astype(
            np.int32
        )
        return np.where(second < self.threshold[cell], cell, self.alias[cell])
