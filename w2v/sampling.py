"""Every random choice of training: which words are kept, which are noise, and by what seed."""

import zlib

import numpy as np
from numpy.typing import NDArray


def generator(seed: int, purpose: str, *indices: int) -> np.random.Generator:
    """The generator for one purpose: independent of all others of the same seed.

    ``indices`` (an epoch, a piece of the text) give one purpose many generators, so that work
    may resume at any of them without the state of those before.
    """
    key = (zlib.crc32(purpose.encode()), *indices)
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def keep_probabilities(counts: NDArray[np.int64], threshold: float) -> NDArray[np.float32]:
    """How likely each word is to survive the sub-sampling of frequent words.

    ``min(1, sqrt(t / f) + t / f)`` for a word of relative frequency f, as word2vec's code has
    it (Mikolov et al. 2013, section 2.3, gives a close variant).

    Parameters
    ----------
    counts : int64 (V,)
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


class NoiseDistribution:
    """P(w) proportional to count(w) ** exponent, drawn in O(1) by Walker's alias method.

    Attributes
    ----------
    probabilities : float64 (V,)
    threshold : float32 (V,)
        Of a cell drawn uniformly: the chance that the draw is the cell's own word ...
    alias : int32 (V,)
        ... and the word that it is otherwise.

    References
    ----------
    A. J. Walker (1977), ACM Transactions on Mathematical Software 3, 253-256.
    """

    def __init__(self, counts: NDArray[np.int64], exponent: float) -> None:
        # Relative to the heaviest word, so that no exponent overflows.
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
        threshold[small + large] = 1
        self.threshold = threshold.astype(np.float32)
        self.alias = alias.astype(np.int32)

    def draw(self, random: np.random.Generator, shape: int | tuple[int, ...]) -> NDArray[np.int32]:
        """Draw words, int32, of the given shape."""
        cell = random.integers(len(self.alias), size=shape, dtype=np.int32)
        own = random.random(shape, dtype=np.float32) < self.threshold[cell]
        return np.where(own, cell, self.alias[cell])
